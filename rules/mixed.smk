# Ensembles of several recipes: combined by a rule that is fitted on rows that the members held out.
rule combine_mixed:
    input:
        asked=mixed_members(f"{PREDICTIONS}/test.parquet"),
        held_out=mixed_members(f"{PREDICTIONS}/train.parquet"),
        fits=mixed_members(f"{MODEL}/fit.json", STUDY.folds),
        targets=f"{DATA}/targets.parquet",
    output:
        combined=f"{ENSEMBLE}/test.parquet",
        done=f"{ENSEMBLE}/test.json",
        held_out=f"{ENSEMBLE}/held_out.parquet",
        without=f"{ENSEMBLE}/without.parquet",
    log:
        f"{LOGS}/combine_mixed/{{exp}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/combine_mixed/{{exp}}/{{task}}/fold_{{fold}}.tsv"
    wildcard_constraints:
        exp=one_of(MIXED),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("combine_submissions"),
    params:
        code=code_of("jobs/combine_mixed.py"),
        how=mixed_rule,
        out=lambda wildcards, output: (
            f"--out-json {output.done} --out-held-out {output.held_out}"
            f" --out-without {output.without}"
        ),
    shell:
        "python scripts/jobs/combine_mixed.py {params.how} --asked {input.asked:q}"
        " --held-out {input.held_out:q} --fits {input.fits:q} --targets {input.targets:q}"
        " --fold {wildcards.fold} --out {output.combined:q} {params.out} 2> {log:q}"


use rule combine_mixed as label_copies_by_mixed with:
    input:
        asked=mixed_members(f"{PREDICTIONS}/copies.parquet"),
        held_out=mixed_members(f"{PREDICTIONS}/train.parquet"),
        fits=mixed_members(f"{MODEL}/fit.json", STUDY.folds),
        targets=f"{DATA}/targets.parquet",
    output:
        combined=f"{ENSEMBLE}/copies.parquet",
    log:
        f"{LOGS}/label_copies_by_mixed/{{exp}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/label_copies_by_mixed/{{exp}}/{{task}}/fold_{{fold}}.tsv"
    resources:
        **needs("combine_submissions", copies=True),
    params:
        code=code_of("jobs/combine_mixed.py"),
        how=mixed_rule,
        out="",


# Answers of a mixed experiment and what it is made of; the rest is as of every experiment.
use rule write_experiment as write_mixed with:
    input:
        **EXPERIMENT_INPUT
        | {
            "fits": mixed_members(f"{MODEL}/fit.json", STUDY.folds),
            "histories": mixed_members(f"{MODEL}/history.csv", STUDY.folds),
            "predictions": mixed_members(f"{PREDICTIONS}/test.parquet", STUDY.folds),
            "timings": mixed_members(f"{PREDICTIONS}/test_timing.json", STUDY.folds),
            "held_out": mixed_members(f"{PREDICTIONS}/train.parquet", STUDY.folds),
            "calibrations": [],
            "ensembles": expand(
                f"{ENSEMBLE}/test.parquet",
                task=STUDY.task,
                fold=STUDY.folds,
                allow_missing=True,
            ),
            "compared": lambda wildcards: expand(
                f"{ROOT}/{{exp}}/results.json", exp=MIXED[wildcards.exp].compare_with
            ),
        },
        checkpoints=[],
        combined=expand(
            f"{ENSEMBLE}/{{file}}",
            task=STUDY.task,
            fold=STUDY.folds,
            file=["test.json", "held_out.parquet", "without.parquet"],
            allow_missing=True,
        ),
    output:
        **EXPERIMENT_OUTPUT,
        members=report(
            f"{ROOT}/{{exp}}/figures/members.png",
            category="Experiments",
            subcategory="{exp}",
            caption="../reports/members.rst",
        ),
        correlation=report(
            f"{ROOT}/{{exp}}/figures/error_correlation.png",
            category="Experiments",
            subcategory="{exp}",
            caption="../reports/error_correlation.rst",
        ),
    wildcard_constraints:
        exp=one_of(MIXED),
    params:
        code=code_of("jobs/write_experiment.py"),
        compare=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.compared
        ],
        more=lambda wildcards, input: f"--mixed {input.combined}",
