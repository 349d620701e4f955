# Models from outside: programs as teachers (docs/teachers.md), and predictions made anywhere.
rule make_environment:
    input:
        file=lambda wildcards: MADE[wildcards.environment],
    output:
        folder=directory(f"{ENVIRONMENTS}/{{environment}}/venv"),
        packages=f"{ENVIRONMENTS}/{{environment}}/packages.json",
    log:
        f"{ENVIRONMENTS}/{{environment}}/pip.log",
    benchmark:
        f"{ENVIRONMENTS}/{{environment}}/benchmark.tsv"
    wildcard_constraints:
        environment=one_of(MADE),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("make_environment"),
    params:
        code=code_of("jobs/make_environment.py"),
    shell:
        "python scripts/jobs/make_environment.py --file {input.file:q} --out {output.folder:q}"
        " --packages {output.packages:q} 2> {log:q}"


rule prepare_teacher:
    input:
        targets=f"{DATA}/targets.parquet",
        card=f"{DATA}/card.json",
        structures=f"{DATA}/structures.npz",
        split=SPLIT,
        copies=copies_of(f"{COPIES}/structures.npz"),
    output:
        job=temp(f"{MODEL}/job.zip"),
    log:
        f"{LOGS}/prepare_teacher/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare_teacher/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(PROGRAMS),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("prepare_teacher"),
    params:
        code=code_of("jobs/prepare_teacher.py"),
        holdout=holdout,
        told=lambda wildcards: json.dumps(
            STUDY.recipes[wildcards.recipe].options, sort_keys=True
        ),
        cif=lambda wildcards: "--cif" if STUDY.recipes[wildcards.recipe].cif else "",
        copies=lambda wildcards, input: given("--copies", input.copies),
    shell:
        "python scripts/jobs/prepare_teacher.py --recipe-name {wildcards.recipe} --seed {wildcards.seed}"
        " --holdout {params.holdout} --options {params.told:q} {params.cif} --targets {input.targets:q}"
        " --card {input.card:q} --structures {input.structures:q} --split {input.split:q}"
        " {params.copies} --out {output.job:q} 2> {log:q}"


for name in PROGRAMS:

    rule:
        name:
            f"run_{name}"
        input:
            job=f"{MODEL}/job.zip",
            files=STUDY.recipes[name].files,
            environment=made_environment(name),
        output:
            left=directory(f"{MODEL}/left"),
            outcome=f"{MODEL}/outcome.json",
        log:
            f"{MODEL}/program.log",
        benchmark:
            f"{BENCHMARKS}/run_teacher/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
        wildcard_constraints:
            recipe=name,
        conda:
            f"../{STUDY.recipes[name].environment or 'envs/crystals.yaml'}"
        threads: 4
        resources:
            mem_mb=needs("run_teacher")["mem_mb"],
            runtime=lambda wildcards: longest(
                math.ceil(STUDY.recipes[wildcards.recipe].minutes) + 10
            ),
            gpu=int(STUDY.recipes[name].gpu),
        params:
            code=code_of("jobs/run_teacher.py"),
            command=STUDY.recipes[name].command,
            minutes=STUDY.recipes[name].minutes,
            gpu="--gpu" if STUDY.recipes[name].gpu else "",
            python=lambda wildcards, input: (
                f"--python {input.environment}/bin/python" if input.environment else ""
            ),
        shell:
            "python scripts/jobs/run_teacher.py --job {input.job:q} --command {params.command:q}"
            " {params.python} --threads {threads} {params.gpu} --minutes {params.minutes}"
            " --log {log:q} --out {output.left:q} --out-json {output.outcome:q}"


COLLECTED = {
    "fit": f"{MODEL}/fit.json",
    "history": f"{MODEL}/history.csv",
    "test": f"{PREDICTIONS}/test.parquet",
    "train": f"{PREDICTIONS}/train.parquet",
    "timing": f"{PREDICTIONS}/test_timing.json",
}


rule collect_teacher:
    input:
        left=f"{MODEL}/left",
        outcome=f"{MODEL}/outcome.json",
        targets=f"{DATA}/targets.parquet",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
        copies=copies_of(f"{COPIES}/graphs"),
    output:
        **COLLECTED,
    log:
        f"{LOGS}/collect_teacher/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/collect_teacher/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(set(PROGRAMS) - set(LABELLING)),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("collect_teacher"),
    params:
        code=code_of("jobs/collect_teacher.py"),
        recipe=recipe_json,
        holdout=holdout,
        goes_on=lambda wildcards: (
            "--goes-on"
            if STUDY.recipes[wildcards.recipe].on_failure == "leave_out"
            else ""
        ),
        copies=lambda wildcards, input: given("--copies", input.copies),
    shell:
        "python scripts/jobs/collect_teacher.py --recipe-name {wildcards.recipe} --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --holdout {params.holdout} {params.goes_on} --left {input.left:q}"
        " --outcome {input.outcome:q} --targets {input.targets:q} --split {input.split:q}"
        " --graph-failures {input.graphs:q}/failures.csv {params.copies}"
        ' --model "$(dirname {output.fit:q})" --predictions "$(dirname {output.test:q})"'
        " 2>&1 | tee {log:q} >&2"


use rule collect_teacher as collect_teacher_with_copies with:
    output:
        **COLLECTED,
        copies=f"{PREDICTIONS}/copies.parquet",
    wildcard_constraints:
        recipe=one_of(LABELLING),


rule read_own_predictions:
    input:
        table=lambda wildcards: STUDY.recipes[wildcards.recipe].file(
            int(wildcards.fold), int(wildcards.seed)
        ),
        targets=f"{DATA}/targets.parquet",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
    output:
        **COLLECTED,
    log:
        f"{LOGS}/read_own_predictions/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/read_own_predictions/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(STUDY.of_kind(OWN_PREDICTIONS)),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("collect_teacher"),
    params:
        code=code_of("jobs/read_own_predictions.py"),
        recipe=recipe_json,
    shell:
        "python scripts/jobs/read_own_predictions.py --recipe-name {wildcards.recipe}"
        " --recipe {params.recipe:q} --seed {wildcards.seed} --table {input.table:q}"
        " --targets {input.targets:q} --split {input.split:q}"
        ' --graph-failures {input.graphs:q}/failures.csv --model "$(dirname {output.fit:q})"'
        ' --predictions "$(dirname {output.test:q})" 2> {log:q}'
