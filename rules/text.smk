# Language models as teachers (docs/text-models.md).
RAW_OUTPUTS = f"{PREDICTIONS}/raw_outputs.parquet"


if STUDY.run == "text":

    rule text:
        input:
            GOALS,

else:

    # A study of its own, called by a short name: `--configfile config/text.yaml` is the long one.
    localrules:
        text,

    rule text:
        log:
            f"{LOGS}/text.log",
        benchmark:
            f"{BENCHMARKS}/text.tsv"
        conda:
            "../envs/crystals.yaml"
        threads: 4
        shell:
            "snakemake --cores {threads} --workflow-profile profiles/cpu --configfile config/text.yaml -- text 2>&1"
            " | tee {log:q} >&2"


rule run_text_model:
    input:
        targets=f"{DATA}/targets.parquet",
        card=f"{DATA}/card.json",
        structures=f"{DATA}/structures.npz",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
    output:
        fit=f"{MODEL}/fit.json",
        history=f"{MODEL}/history.csv",
        test=f"{PREDICTIONS}/test.parquet",
        train=f"{PREDICTIONS}/train.parquet",
        timing=f"{PREDICTIONS}/test_timing.json",
        raw=RAW_OUTPUTS,
    log:
        f"{MODEL}/training.log",
    benchmark:
        f"{BENCHMARKS}/run_text_model/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(TEXTS),
    conda:
        "../envs/text.yaml"
    threads: 4
    resources:
        **needs("run_text_model"),
        gpu=1,
    params:
        code=code_of("jobs/run_text_model.py"),
        recipe=recipe_json,
        holdout=holdout,
        engine=ENGINE,
    shell:
        "python scripts/jobs/run_text_model.py --targets {input.targets:q} --card {input.card:q}"
        " --structures {input.structures:q} --split {input.split:q}"
        " --graph-failures {input.graphs:q}/failures.csv --recipe-name {wildcards.recipe}"
        " --recipe {params.recipe:q} --seed {wildcards.seed} --holdout {params.holdout}"
        ' --engine {params.engine:q} --threads {threads} --model "$(dirname {output.fit:q})"'
        ' --predictions "$(dirname {output.test:q})" 2> {log:q}'


# Not part of a study's goals: its figures are of the machine.
rule measure_text_speed:
    input:
        targets=f"{TASK_DATA}/targets.parquet",
        card=f"{TASK_DATA}/card.json",
        structures=f"{TASK_DATA}/structures.npz",
        split=SPLIT.format(task=STUDY.task, fold=STUDY.folds[0]),
    output:
        speed=f"{ROOT}/speed/{{recipe}}.csv",
        tokens=f"{ROOT}/speed/{{recipe}}_tokens.csv",
    log:
        f"{LOGS}/measure_text_speed/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_text_speed/{{recipe}}.tsv"
    wildcard_constraints:
        recipe=one_of(TEXTS),
    conda:
        "../envs/text.yaml"
    threads: 1
    resources:
        **needs("run_text_model"),
    params:
        code=code_of("maintenance/bench_text.py"),
        recipe=recipe_json,
    shell:
        "python scripts/maintenance/bench_text.py --targets {input.targets:q} --card {input.card:q}"
        " --structures {input.structures:q} --split {input.split:q}"
        " --recipe-name {wildcards.recipe} --recipe {params.recipe:q} --seed 0 --holdout 0"
        " --device cpu --threads {threads} --speed {output.speed:q} --tokens {output.tokens:q}"
        " 2> {log:q}"


use rule write_outside_experiment as write_text_experiment with:
    input:
        **EXPERIMENT_INPUT,
        checkpoints=[],
        raw=lambda wildcards: all_members(RAW_OUTPUTS, wildcards.exp),
    output:
        **EXPERIMENT_OUTPUT,
        raw=f"{ROOT}/{{exp}}/raw_outputs.parquet",
        calls=directory(f"{ROOT}/{{exp}}/calls"),
    wildcard_constraints:
        exp=one_of(READING),
    params:
        code=code_of("jobs/write_experiment.py"),
        compare=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.compared
        ],
        more=lambda wildcards, input: f"--raw-outputs {shlex.join(input.raw)}",
