rule prepare_dataset:
    input:
        file=lambda wildcards: dataset_file(wildcards.task),
    output:
        targets=f"{DATA}/targets.parquet",
        structures=f"{DATA}/structures.npz",
        failures=f"{DATA}/failures.csv",
        card=f"{DATA}/card.json",
    log:
        f"{LOGS}/prepare_dataset/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare_dataset/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(WITH_STRUCTURES),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("prepare_dataset"),
    params:
        code=code_of("jobs/prepare_dataset.py"),
        options=lambda wildcards: dataset_options(wildcards.task),
    shell:
        "python scripts/jobs/prepare_dataset.py --task {wildcards.task} {params.options}"
        ' --out "$(dirname {output.targets:q})" 2>&1 | tee {log:q} >&2'


rule build_graphs:
    input:
        structures=f"{DATA}/structures.npz",
    output:
        graphs=directory(f"{DATA}/graphs"),
    log:
        f"{LOGS}/build_graphs/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/build_graphs/{{task}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        **needs("build_graphs"),
    params:
        code=code_of("jobs/build_graphs.py"),
        copies="",
    shell:
        "python scripts/jobs/build_graphs.py --structures {input.structures:q} {params.copies}"
        " --workers {threads} --out {output.graphs:q} 2>&1 | tee {log:q} >&2"


rule perturb_structures:
    input:
        structures=f"{DATA}/structures.npz",
        split=SPLIT,
    output:
        structures=f"{COPIES}/structures.npz",
    log:
        f"{LOGS}/perturb_structures/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/perturb_structures/{{task}}/fold_{{fold}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("perturb_structures", copies=True),
    params:
        code=code_of("jobs/perturb_structures.py"),
        how=STUDY.copies,
    shell:
        "python scripts/jobs/perturb_structures.py --structures {input.structures:q}"
        " --split {input.split:q} --copies {params.how[copies]} --displacement {params.how[displacement]}"
        " --strain {params.how[strain]} --substitution {params.how[substitution]}"
        " --out {output.structures:q} 2> {log:q}"


use rule build_graphs as build_copy_graphs with:
    input:
        structures=f"{COPIES}/structures.npz",
    output:
        graphs=directory(f"{COPIES}/graphs"),
    log:
        f"{LOGS}/build_copy_graphs/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/build_copy_graphs/{{task}}/fold_{{fold}}.tsv"
    resources:
        **needs("build_graphs", copies=True),
    params:
        code=code_of("jobs/build_graphs.py"),
        copies="--copies",


rule make_splits:
    input:
        targets=f"{DATA}/targets.parquet",
        table=lambda wildcards: split_rule(wildcards.task).get("table", []),
    output:
        split=SPLIT,
    log:
        f"{LOGS}/make_splits/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/make_splits/{{task}}/fold_{{fold}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("make_splits"),
    params:
        code=code_of("jobs/make_splits.py"),
        splits=STUDY.splits,
        rule=lambda wildcards: " ".join(
            given(f"--{key}", value)
            for key, value in split_rule(wildcards.task).items()
        ),
    shell:
        "python scripts/jobs/make_splits.py --targets {input.targets:q} --task {wildcards.task}"
        " --fold {wildcards.fold} --n-folds {params.splits[folds]}"
        " --holdouts {params.splits[holdouts]} --seed {params.splits[seed]}"
        " {params.rule} --out {output.split:q} 2> {log:q}"


rule report_duplicates:
    input:
        targets=f"{DATA}/targets.parquet",
        structures=f"{DATA}/structures.npz",
        splits=expand(SPLIT, fold=STUDY.folds, allow_missing=True),
    output:
        json=f"{ROOT}/splits/{{task}}/duplicates.json",
        csv=report(
            f"{ROOT}/splits/{{task}}/duplicates.csv",
            category="Data",
            caption="../reports/duplicates.rst",
        ),
    log:
        f"{LOGS}/report_duplicates/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/report_duplicates/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(WITH_STRUCTURES),
    conda:
        "../envs/crystals.yaml"
    # A small task's report must not wait for a moment in which all cores are free.
    threads: lambda wildcards: 4 if size_of(wildcards).structures > SMALL_TASK else 1
    resources:
        **needs("report_duplicates"),
    params:
        code=code_of("jobs/report_duplicates.py"),
    shell:
        "python scripts/jobs/report_duplicates.py --targets {input.targets:q}"
        " --structures {input.structures:q} --splits {input.splits:q}"
        " --workers {threads} --out-json {output.json:q} --out-csv {output.csv:q} 2> {log:q}"
