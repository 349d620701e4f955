localrules:
    resolve_experiment,


rule resolve_experiment:
    output:
        config=f"{ROOT}/configs/{{exp}}.json",
    log:
        f"{LOGS}/resolve_experiment/{{exp}}.log",
    benchmark:
        f"{BENCHMARKS}/resolve_experiment/{{exp}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("resolve_experiment"),
    params:
        resolved=lambda wildcards: json.dumps(STUDY.resolved(wildcards.exp), indent=2),
    shell:
        "printf '%s\\n' {params.resolved:q} > {output.config:q} 2> {log:q}"


# What all experiments of trained models read, and what every folder of theirs holds.
EXPERIMENT_INPUT = {
    "config": f"{ROOT}/configs/{{exp}}.json",
    "targets": f"{TASK_DATA}/targets.parquet",
    "card": f"{TASK_DATA}/card.json",
    "dataset_failures": f"{TASK_DATA}/failures.csv",
    "graphs": f"{TASK_DATA}/graphs",
    "duplicates": f"{ROOT}/splits/{STUDY.task}/duplicates.json",
    "splits": folds(SPLIT),
    "fits": lambda wildcards: all_members(f"{MODEL}/fit.json", wildcards.exp),
    "histories": lambda wildcards: all_members(f"{MODEL}/history.csv", wildcards.exp),
    "predictions": lambda wildcards: all_members(
        f"{answers(wildcards.exp)}/test.parquet", wildcards.exp
    ),
    "timings": lambda wildcards: all_members(
        f"{answers(wildcards.exp)}/test_timing.json", wildcards.exp
    ),
    "held_out": lambda wildcards: all_members(
        held_out_answers(wildcards.exp), wildcards.exp
    ),
    "calibrations": lambda wildcards: (
        all_members(f"{answers(wildcards.exp)}/calibration.json", wildcards.exp)
        if STUDY.experiments[wildcards.exp].tta > 1
        else []
    ),
    "ensembles": lambda wildcards: (
        expand(
            f"{ENSEMBLE}/test.parquet",
            exp=wildcards.exp,
            task=STUDY.task,
            fold=STUDY.folds,
        )
        if is_ensemble(wildcards.exp)
        else []
    ),
    "compared": lambda wildcards: expand(
        f"{ROOT}/{{exp}}/results.json",
        exp=STUDY.experiments[wildcards.exp].compare_with,
    ),
    "gate": ancient(gate),
    "templates": [
        "reports/README.txt.j2",
        "reports/model_card.md.j2",
        "reports/model_predict.py",
        "config/schemas/results.schema.json",
        *leaderboard(STUDY.task),
    ],
}
EXPERIMENT_OUTPUT = {
    "results": f"{ROOT}/{{exp}}/results.json",
    "readme": report(
        f"{ROOT}/{{exp}}/README.txt",
        category="Experiments",
        subcategory="{exp}",
        caption="../reports/readme.rst",
    ),
    "config": f"{ROOT}/{{exp}}/config.json",
    "metrics": f"{ROOT}/{{exp}}/metrics.json",
    "predictions": f"{ROOT}/{{exp}}/predictions.parquet",
    "groups": directory(f"{ROOT}/{{exp}}/groups"),
    "diagnostics": directory(f"{ROOT}/{{exp}}/diagnostics"),
    "parity": report(
        f"{ROOT}/{{exp}}/figures/parity.png",
        category="Experiments",
        subcategory="{exp}",
        caption="../reports/parity.rst",
    ),
    "errors": report(
        f"{ROOT}/{{exp}}/figures/error_distribution.png",
        category="Experiments",
        subcategory="{exp}",
        caption="../reports/error_distribution.rst",
    ),
    "by_target": report(
        f"{ROOT}/{{exp}}/figures/error_by_target.png",
        category="Experiments",
        subcategory="{exp}",
        caption="../reports/error_by_target.rst",
    ),
}
RELIABILITY = {
    "reliability": report(
        f"{ROOT}/{{exp}}/figures/reliability.png",
        category="Experiments",
        subcategory="{exp}",
        caption="../reports/reliability.rst",
    ),
}


rule write_experiment:
    input:
        **EXPERIMENT_INPUT,
        checkpoints=lambda wildcards: all_members(
            f"{MODEL}/model.safetensors", wildcards.exp
        ),
    output:
        **EXPERIMENT_OUTPUT,
        **RELIABILITY,
        model=directory(f"{ROOT}/{{exp}}/model"),
        curves=report(
            f"{ROOT}/{{exp}}/figures/learning_curves.png",
            category="Experiments",
            subcategory="{exp}",
            caption="../reports/learning_curves.rst",
        ),
    log:
        f"{LOGS}/write_experiment/{{exp}}.log",
    benchmark:
        f"{BENCHMARKS}/write_experiment/{{exp}}.tsv"
    wildcard_constraints:
        exp=one_of(TRAINED),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_experiment"),
    params:
        code=code_of("jobs/write_experiment.py"),
        compare=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.compared
        ],
        family=STUDY.star_comparisons,
        more="",
    shell:
        "python scripts/jobs/write_experiment.py --experiment {wildcards.exp} --config {input.config:q}"
        " --targets {input.targets:q} --card {input.card:q}"
        " --dataset-failures {input.dataset_failures:q}"
        " --graph-failures {input.graphs:q}/failures.csv --duplicates {input.duplicates:q}"
        " --splits {input.splits:q} --fits {input.fits:q} --histories {input.histories:q}"
        " --predictions {input.predictions:q} --timings {input.timings:q}"
        " --held-out {input.held_out:q} --checkpoints {input.checkpoints:q}"
        " --calibrations {input.calibrations:q}"
        " --ensembles {input.ensembles:q} {params.more} --compare {params.compare:q}"
        " --star-comparisons {params.family}"
        ' --command "${{FOLDWISE_CALL}} {output.results}"'
        ' --out "$(dirname {output.results:q})" 2>&1 | tee {log:q} >&2'


# Models from outside leave no checkpoint and need no epochs; of answers for test rows alone there
# are no intervals.
use rule write_experiment as write_outside_experiment with:
    input:
        **EXPERIMENT_INPUT,
        checkpoints=[],
    output:
        **EXPERIMENT_OUTPUT,
    wildcard_constraints:
        exp=one_of(set(OUTSIDE) - set(READING)),


rule summarise:
    input:
        experiments=expand(f"{ROOT}/{{exp}}/results.json", exp=STUDY.names),
        template=["reports/RESULTS.md.j2", *leaderboard(STUDY.task)],
    output:
        markdown=report(
            f"{ROOT}/RESULTS.md", category="Summary", caption="../reports/summary.rst"
        ),
        csv=report(
            f"{ROOT}/experiments.csv",
            category="Summary",
            caption="../reports/summary.rst",
        ),
    log:
        f"{LOGS}/summarise.log",
    benchmark:
        f"{BENCHMARKS}/summarise.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("summarise"),
    params:
        code=code_of("jobs/write_summary.py"),
        folders=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.experiments
        ],
    shell:
        "python scripts/jobs/write_summary.py --experiments {params.folders:q}"
        " --out-markdown {output.markdown:q} --out-csv {output.csv:q} 2> {log:q}"


rule write_ablation:
    input:
        experiments=expand(f"{ROOT}/{{exp}}/results.json", exp=STUDY.names),
        template="reports/ablation.md.j2",
    output:
        markdown=report(
            f"{ROOT}/ablation.md",
            category="Summary",
            caption="../reports/ablation.rst",
        ),
        csv=f"{ROOT}/ablation.csv",
        figure=report(
            f"{ROOT}/ablation.png",
            category="Summary",
            caption="../reports/ablation_figure.rst",
        ),
        vector=f"{ROOT}/ablation.svg",
    log:
        f"{LOGS}/write_ablation.log",
    benchmark:
        f"{BENCHMARKS}/write_ablation.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_ablation"),
    params:
        code=code_of("jobs/write_ablation.py"),
        folders=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.experiments
        ],
    shell:
        "python scripts/jobs/write_ablation.py --experiments {params.folders:q}"
        " --out-markdown {output.markdown:q} --out-csv {output.csv:q} --out-figure {output.figure:q}"
        " 2> {log:q}"
