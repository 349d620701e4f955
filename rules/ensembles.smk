rule average_predictions:
    input:
        members=ensemble_members,
    output:
        ensemble=f"{ENSEMBLE}/{{subset}}.parquet",
    log:
        f"{LOGS}/average_predictions/{{exp}}/{{task}}/fold_{{fold}}_{{subset}}.log",
    benchmark:
        f"{BENCHMARKS}/average_predictions/{{exp}}/{{task}}/fold_{{fold}}_{{subset}}.tsv"
    wildcard_constraints:
        exp=one_of(STUDY.experiments),
        subset="test|train|copies",
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("average_predictions"),
    params:
        code=code_of("jobs/combine_predictions.py"),
        kind="mean",
    shell:
        "python scripts/jobs/combine_predictions.py --members {input.members:q} --kind {params.kind}"
        " --out {output.ensemble:q} 2> {log:q}"


use rule average_predictions as average_held_out_predictions with:
    input:
        members=lambda wildcards: members(
            f"{PREDICTIONS}/train.parquet", wildcards.exp, wildcards.fold
        ),
    output:
        ensemble=f"{ENSEMBLE}/crossfit.parquet",
    log:
        f"{LOGS}/average_held_out_predictions/{{exp}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/average_held_out_predictions/{{exp}}/{{task}}/fold_{{fold}}.tsv"
    wildcard_constraints:
        exp="[a-z][a-z0-9_]*",
    params:
        code=code_of("jobs/combine_predictions.py"),
        kind="crossfit",
