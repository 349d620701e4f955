rule check_series:
    input:
        targets=f"{TASK_DATA}/targets.parquet",
        splits=folds(SPLIT),
        predictions=lambda wildcards: members(
            f"{answers(STUDY.series[wildcards.series].first)}/test.parquet",
            STUDY.series[wildcards.series].first,
        ),
    output:
        gate=f"{ROOT}/gates/{{series}}.json",
    log:
        f"{LOGS}/check_series/{{series}}.log",
    benchmark:
        f"{BENCHMARKS}/check_series/{{series}}.tsv"
    wildcard_constraints:
        series=one_of(STUDY.series),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("check_series"),
    params:
        code=code_of("jobs/check_series.py"),
        first=lambda wildcards: STUDY.series[wildcards.series].first,
        action=lambda wildcards: STUDY.series[wildcards.series].action,
        force="--force" if STUDY.force else "",
    shell:
        "python scripts/jobs/check_series.py --series {wildcards.series} --first {params.first}"
        " --action {params.action} {params.force} --targets {input.targets:q} --splits {input.splits:q}"
        " --predictions {input.predictions:q} --out {output.gate:q} 2>&1 | tee {log:q} >&2"


rule group_structures:
    input:
        targets=of_joint_tasks(f"{DATA}/targets.parquet"),
        structures=of_joint_tasks(f"{DATA}/structures.npz"),
    output:
        groups=f"{ROOT}/joint/{{recipe}}/groups.parquet",
    log:
        f"{LOGS}/group_structures/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/group_structures/{{recipe}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("group_structures"),
    params:
        code=code_of("jobs/group_structures.py"),
        tasks=lambda wildcards: joint_tasks(wildcards.recipe),
    shell:
        "python scripts/jobs/group_structures.py --tasks {params.tasks} --targets {input.targets:q}"
        " --structures {input.structures:q} --out {output.groups:q} 2> {log:q}"


rule pretrain_model:
    input:
        targets=of_joint_tasks(f"{DATA}/targets.parquet"),
        graphs=of_joint_tasks(f"{DATA}/graphs"),
        splits=of_joint_tasks(SPLIT),
        groups=f"{ROOT}/joint/{{recipe}}/groups.parquet",
        gate=ancient(gate),
    output:
        backbone=f"{MODEL}/backbone.safetensors",
        record=f"{MODEL}/pretrain.json",
        rows=f"{MODEL}/pretrain_rows.parquet",
        history=f"{MODEL}/pretrain_history.csv",
    log:
        f"{MODEL}/pretraining.log",
    benchmark:
        f"{BENCHMARKS}/pretrain_model/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(NETWORKS),
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        **needs("pretrain_model"),
        gpu=1,
    params:
        code=code_of("jobs/pretrain_model.py"),
        recipe=recipe_json,
        holdout=holdout,
        engine=ENGINE,
        tasks=lambda wildcards: joint_tasks(wildcards.recipe),
        transforms=lambda wildcards: [
            STUDY.datasets[task]["transform"] for task in joint_tasks(wildcards.recipe)
        ],
        extensive=lambda wildcards: [
            task
            for task in joint_tasks(wildcards.recipe)
            if not STUDY.datasets[task]["intensive"]
        ],
    shell:
        "python scripts/jobs/pretrain_model.py --tasks {params.tasks} --targets {input.targets:q}"
        " --graphs {input.graphs:q} --splits {input.splits:q} --transforms {params.transforms}"
        " --extensive {params.extensive} --groups {input.groups:q} --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --holdout {params.holdout} --engine {params.engine:q}"
        ' --threads {threads} --out "$(dirname {output.backbone:q})" 2> {log:q}'


# What a model predicts after its training; candidates of a search predict nothing.
PREDICTED = "test train"
TRIED = {name for tried in STUDY.searches.values() for name in tried}


rule train_model:
    input:
        targets=f"{DATA}/targets.parquet",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
        soft=soft_targets,
        copies=copy_graphs,
        weight=soft_weight,
        backbone=pretrained_file("backbone.safetensors"),
        pretraining=pretrained_file("pretrain.json"),
        gate=ancient(gate),
    output:
        model=f"{MODEL}/model.safetensors",
        fit=f"{MODEL}/fit.json",
        history=f"{MODEL}/history.csv",
    log:
        f"{MODEL}/training.log",
    benchmark:
        f"{BENCHMARKS}/train_model/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(NETWORKS),
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        **training_needs(),
        gpu=1,
    params:
        code=code_of("jobs/train_model.py"),
        recipe=recipe_json,
        holdout=holdout,
        engine=ENGINE,
        transform=lambda wildcards: STUDY.datasets[wildcards.task]["transform"],
        out=MODEL,
        options=lambda wildcards, input: " ".join(
            [
                "" if STUDY.datasets[wildcards.task]["intensive"] else "--extensive",
                given("--soft-targets", input.soft),
                given("--copies", input.copies),
                given("--soft-weight-from", input.weight),
                given("--backbone", input.backbone),
                given("--pretraining", input.pretraining),
                "" if wildcards.recipe in TRIED else f"--predict {PREDICTED}",
            ]
        ),
    shell:
        "python scripts/jobs/train_model.py --targets {input.targets:q} --graphs {input.graphs:q}"
        " --split {input.split:q} --recipe-name {wildcards.recipe} --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --holdout {params.holdout} --transform {params.transform}"
        " {params.options} --engine {params.engine:q} --threads {threads}"
        " --out {params.out:q} 2> {log:q}"


rule choose_soft_weight:
    input:
        fits=lambda wildcards: expand(
            f"{MODEL}/fit.json",
            recipe=STUDY.searches[wildcards.recipe],
            task=wildcards.task,
            fold=wildcards.fold,
            seed=STUDY.first_seed(wildcards.recipe),
        ),
    output:
        choice=f"{ROOT}/searches/{{recipe}}/{{task}}/fold_{{fold}}.json",
    log:
        f"{LOGS}/choose_soft_weight/{{recipe}}/{{task}}/fold_{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/choose_soft_weight/{{recipe}}/{{task}}/fold_{{fold}}.tsv"
    wildcard_constraints:
        recipe=one_of(STUDY.searches),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("choose_soft_weight"),
    params:
        code=code_of("jobs/choose_soft_weight.py"),
    shell:
        "python scripts/jobs/choose_soft_weight.py --fits {input.fits:q} --out {output.choice:q} 2> {log:q}"


rule predict:
    input:
        model=f"{MODEL}/model.safetensors",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
    output:
        test=f"{PREDICTIONS}/test.parquet",
        train=f"{PREDICTIONS}/train.parquet",
        timing=f"{PREDICTIONS}/test_timing.json",
    log:
        f"{LOGS}/predict/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(NETWORKS),
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        **needs("predict"),
        gpu=1,
    params:
        code=code_of("jobs/predict.py"),
        subsets=PREDICTED,
        holdout=holdout,
        out=PREDICTIONS,
        engine=ENGINE,
    shell:
        "python scripts/jobs/predict.py --model {input.model:q} --graphs {input.graphs:q}"
        " --split {input.split:q} --subsets {params.subsets} --holdout {params.holdout}"
        " --engine {params.engine:q} --threads {threads} --out {params.out:q} 2> {log:q}"


use rule predict as predict_copies with:
    input:
        model=f"{MODEL}/model.safetensors",
        graphs=f"{COPIES}/graphs",
        split=SPLIT,
    output:
        copies=f"{PREDICTIONS}/copies.parquet",
    log:
        f"{LOGS}/predict_copies/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/predict_copies/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    wildcard_constraints:
        recipe=one_of(NETWORKS),
    resources:
        **needs("predict", copies=True),
        gpu=1,
    params:
        code=code_of("jobs/predict.py"),
        subsets="copies",
        holdout=holdout,
        out=PREDICTIONS,
        engine=ENGINE,


rule predict_views:
    input:
        model=f"{MODEL}/model.safetensors",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
    output:
        test=f"{PREDICTIONS}/tta_{{tta}}/test.parquet",
        timing=f"{PREDICTIONS}/tta_{{tta}}/test_timing.json",
        calibration=f"{PREDICTIONS}/tta_{{tta}}/calibration.json",
        held_out=f"{PREDICTIONS}/tta_{{tta}}/held_out.parquet",
    log:
        f"{LOGS}/predict_views/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}_tta_{{tta}}.log",
    benchmark:
        f"{BENCHMARKS}/predict_views/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}_tta_{{tta}}.tsv"
    wildcard_constraints:
        recipe=one_of(NETWORKS),
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        **needs("predict_views"),
        gpu=1,
    params:
        code=code_of("jobs/predict_views.py"),
        holdout=holdout,
        strength=lambda wildcards: STUDY.view_strength(wildcards.recipe),
        engine=ENGINE,
    shell:
        "python scripts/jobs/predict_views.py --model {input.model:q} --graphs {input.graphs:q}"
        " --split {input.split:q} --holdout {params.holdout} --views {wildcards.tta}"
        " --displacement {params.strength[displacement]} --strain {params.strength[strain]}"
        " --seed {wildcards.seed} --engine {params.engine:q} --threads {threads}"
        ' --out "$(dirname {output.test:q})" 2> {log:q}'
