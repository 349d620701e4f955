rule train_model:
    input:
        targets=f"{DATA}/targets.parquet",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
        soft=soft_targets,
        copies=copy_graphs,
        code=sources_of("train_model.py"),
    output:
        model=f"{MODEL}/model.safetensors",
        fit=f"{MODEL}/fit.json",
        history=f"{MODEL}/history.csv",
    log:
        f"{MODEL}/training.log",
    benchmark:
        f"{BENCHMARKS}/train_model/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=1,
    params:
        recipe=recipe_json,
        holdout=holdout,
        transform=lambda wildcards: STUDY.datasets[wildcards.task]["transform"],
        soft=lambda wildcards, input: (
            f"--soft-targets {input.soft}" if input.soft else ""
        ),
        copies=lambda wildcards, input: (
            f"--copies {input.copies}" if input.copies else ""
        ),
    shell:
        "python scripts/train_model.py --targets {input.targets} --graphs {input.graphs}"
        " --split {input.split} --recipe-name {wildcards.recipe} --recipe {params.recipe:q}"
        " --seed {wildcards.seed} --holdout {params.holdout} --transform {params.transform}"
        " {params.soft} {params.copies} --threads {threads}"
        " --out $(dirname {output.model}) 2> {log}"


rule predict:
    input:
        model=f"{MODEL}/model.safetensors",
        graphs=f"{DATA}/graphs",
        split=SPLIT,
        code=sources_of("predict.py"),
    output:
        test=f"{PREDICTIONS}/test.parquet",
        train=f"{PREDICTIONS}/train.parquet",
        timing=f"{PREDICTIONS}/test_timing.json",
    log:
        f"{LOGS}/predict/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=1,
    params:
        subsets="test train",
        holdout=holdout,
        out=PREDICTIONS,
    shell:
        "python scripts/predict.py --model {input.model} --graphs {input.graphs}"
        " --split {input.split} --subsets {params.subsets} --holdout {params.holdout}"
        " --threads {threads} --out {params.out} 2> {log}"


use rule predict as predict_copies with:
    input:
        model=f"{MODEL}/model.safetensors",
        graphs=f"{DATA}/copies/graphs",
        split=SPLIT,
        code=sources_of("predict.py"),
    output:
        copies=f"{PREDICTIONS}/copies.parquet",
    log:
        f"{LOGS}/predict_copies/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/predict_copies/{{recipe}}/{{task}}/fold_{{fold}}_seed_{{seed}}.tsv"
    params:
        subsets="copies",
        holdout=holdout,
        out=PREDICTIONS,
