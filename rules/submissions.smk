# Recorded teachers: public submissions, read, checked and combined. Nothing is trained here.
wildcard_constraints:
    combination=one_of(COMBINATION),


localrules:
    fetch_submission,


rule fetch_submission:
    output:
        file="results/downloads/submissions/{submission}/results.json.gz",
    log:
        "results/downloads/logs/{submission}.log",
    benchmark:
        "results/downloads/benchmarks/{submission}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("fetch_submission"),
    params:
        sha256=checksum,
    shell:
        "python scripts/jobs/fetch_submission.py --name {wildcards.submission} {params.sha256}"
        " --out {output.file:q} 2> {log:q}"


rule prepare_targets:
    input:
        file=lambda wildcards: target_table(wildcards.task),
    output:
        targets=f"{DATA}/targets.parquet",
        failures=f"{DATA}/failures.csv",
        card=f"{DATA}/card.json",
    log:
        f"{LOGS}/prepare_targets/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/prepare_targets/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(WITHOUT_STRUCTURES),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("prepare_targets"),
    params:
        code=code_of("jobs/prepare_targets.py"),
        options=target_options,
    shell:
        "python scripts/jobs/prepare_targets.py --task {wildcards.task} {params.options}"
        ' --out "$(dirname {output.targets:q})" 2> {log:q}'


rule count_formula_duplicates:
    input:
        targets=f"{DATA}/targets.parquet",
        splits=expand(SPLIT, fold=STUDY.folds, allow_missing=True),
    output:
        json=f"{ROOT}/splits/{{task}}/duplicates.json",
    log:
        f"{LOGS}/count_formula_duplicates/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/count_formula_duplicates/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(WITHOUT_STRUCTURES),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("count_formula_duplicates"),
    params:
        code=code_of("jobs/count_formula_duplicates.py"),
    shell:
        "python scripts/jobs/count_formula_duplicates.py --targets {input.targets:q}"
        " --splits {input.splits:q} --out {output.json:q} 2> {log:q}"


rule read_submission:
    input:
        submission=lambda wildcards: STUDY.recorded.file(wildcards.submission),
        targets=f"{DATA}/targets.parquet",
    output:
        predictions=f"{RECORDED}/predictions.parquet",
        scores=f"{RECORDED}/scores.json",
    log:
        f"{LOGS}/read_submission/{{task}}/{{submission}}.log",
    benchmark:
        f"{BENCHMARKS}/read_submission/{{task}}/{{submission}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("read_submission"),
    params:
        code=code_of("jobs/read_submission.py"),
        sha256=checksum,
    shell:
        "python scripts/jobs/read_submission.py --submission {input.submission:q}"
        " --name {wildcards.submission} --task {wildcards.task} --targets {input.targets:q}"
        ' {params.sha256} --out "$(dirname {output.scores:q})" 2> {log:q}'


rule combine_submissions:
    input:
        targets=f"{DATA}/targets.parquet",
        predictions=recorded(f"{RECORDED}/predictions.parquet"),
    output:
        ensemble=f"{COMBINED}/test.parquet",
        done=f"{COMBINED}/test.json",
    log:
        f"{LOGS}/combine_submissions/{{combination}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/combine_submissions/{{combination}}/{{task}}/fold_{{fold}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("combine_submissions"),
    params:
        code=code_of("jobs/combine_submissions.py"),
        how=combining,
        rows="test",
    shell:
        "python scripts/jobs/combine_submissions.py --targets {input.targets:q}"
        " --predictions {input.predictions:q} {params.how} --fold {wildcards.fold}"
        " --rows {params.rows} --out {output.ensemble:q} --out-json {output.done:q} 2> {log:q}"


use rule combine_submissions as label_training_rows with:
    output:
        ensemble=f"{COMBINED}/recorded.parquet",
        done=f"{COMBINED}/recorded.json",
    log:
        f"{LOGS}/label_training_rows/{{combination}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/label_training_rows/{{combination}}/{{task}}/fold_{{fold}}.tsv"
    params:
        code=code_of("jobs/combine_submissions.py"),
        how=combining,
        rows="train",


rule write_combination:
    input:
        config=f"{ROOT}/configs/{{combination}}.json",
        targets=f"{TASK_DATA}/targets.parquet",
        card=f"{TASK_DATA}/card.json",
        dataset_failures=f"{TASK_DATA}/failures.csv",
        duplicates=f"{ROOT}/splits/{STUDY.task}/duplicates.json",
        splits=folds(SPLIT),
        scores=recorded(f"{RECORDED}/scores.json"),
        recorded=recorded(f"{RECORDED}/predictions.parquet"),
        ensembles=expand(
            f"{COMBINED}/test.parquet",
            task=STUDY.task,
            fold=STUDY.folds,
            allow_missing=True,
        ),
        combinations=expand(
            f"{COMBINED}/test.json",
            task=STUDY.task,
            fold=STUDY.folds,
            allow_missing=True,
        ),
        compared=lambda wildcards: expand(
            f"{ROOT}/{{exp}}/results.json",
            exp=COMBINATION[wildcards.combination].compare_with,
        ),
        templates=[
            "reports/README.txt.j2",
            "config/schemas/results.schema.json",
            *leaderboard(STUDY.task),
        ],
    output:
        results=f"{ROOT}/{{combination}}/results.json",
        readme=report(
            f"{ROOT}/{{combination}}/README.txt",
            category="Experiments",
            subcategory="{combination}",
            caption="../reports/readme.rst",
        ),
        config=f"{ROOT}/{{combination}}/config.json",
        metrics=f"{ROOT}/{{combination}}/metrics.json",
        predictions=f"{ROOT}/{{combination}}/predictions.parquet",
        groups=directory(f"{ROOT}/{{combination}}/groups"),
        diagnostics=directory(f"{ROOT}/{{combination}}/diagnostics"),
        parity=report(
            f"{ROOT}/{{combination}}/figures/parity.png",
            category="Experiments",
            subcategory="{combination}",
            caption="../reports/parity.rst",
        ),
        errors=report(
            f"{ROOT}/{{combination}}/figures/error_distribution.png",
            category="Experiments",
            subcategory="{combination}",
            caption="../reports/error_distribution.rst",
        ),
        by_target=report(
            f"{ROOT}/{{combination}}/figures/error_by_target.png",
            category="Experiments",
            subcategory="{combination}",
            caption="../reports/error_by_target.rst",
        ),
        members=report(
            f"{ROOT}/{{combination}}/figures/members.png",
            category="Experiments",
            subcategory="{combination}",
            caption="../reports/members.rst",
        ),
    log:
        f"{LOGS}/write_experiment/{{combination}}.log",
    benchmark:
        f"{BENCHMARKS}/write_experiment/{{combination}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_combination"),
    params:
        code=code_of("jobs/write_experiment.py"),
        compare=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.compared
        ],
        family=STUDY.star_comparisons,
    shell:
        "python scripts/jobs/write_experiment.py --experiment {wildcards.combination}"
        " --config {input.config:q} --targets {input.targets:q} --card {input.card:q}"
        " --dataset-failures {input.dataset_failures:q} --duplicates {input.duplicates:q}"
        " --splits {input.splits:q} --submissions {input.scores:q}"
        " --submission-predictions {input.recorded:q} --ensembles {input.ensembles:q}"
        " --combinations {input.combinations:q} --compare {params.compare:q}"
        " --star-comparisons {params.family}"
        ' --command "${{FOLDWISE_CALL}} {output.results}"'
        ' --out "$(dirname {output.results:q})" 2>&1 | tee {log:q} >&2'
