# Masked-LM checkpoints. Its own config file: snakemake --config mlm_config=config/my_mlm.yaml mlm
include: "mlm_common.smk"


rule mlm:
    input:
        f"{MLM_ROOT}/{MLM.config['default_run']}/summary.md",


rule prepare_mlm_texts:
    input:
        files=lambda wildcards: mlm_files(wildcards.corpus),
    output:
        evaluation=f"{MLM_CORPUS}/evaluation.jsonl",
        heldout=f"{MLM_CORPUS}/heldout.jsonl",
        training=f"{MLM_CORPUS}/training.jsonl",
        card=f"{MLM_CORPUS}/card.json",
    log:
        f"{MLM_LOGS}/prepare_mlm_texts/{{corpus}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/prepare_mlm_texts/{{corpus}}.tsv"
    wildcard_constraints:
        corpus="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: 2
    resources:
        **needs("prepare_mlm_texts"),
    params:
        code=code_of("prepare_mlm_texts.py"),
        texts=lambda wildcards: MLM.config["corpora"][wildcards.corpus]["texts"],
        shares=lambda wildcards: mlm_shares(wildcards.corpus),
        options=lambda wildcards: mlm_options(
            MLM.config["corpora"][wildcards.corpus], "texts", "shares"
        ),
    shell:
        "python scripts/prepare_mlm_texts.py --texts {params.texts:q} --shares {params.shares}"
        ' {params.options} --workers {threads} --out "$(dirname {output.card:q})" 2> {log:q}'


rule build_mlm_samples:
    input:
        texts=mlm_sample_texts("evaluation.jsonl"),
        card=mlm_sample_texts("card.json"),
    output:
        samples=f"{MLM_ROOT}/samples/{{sample_set}}.jsonl",
        card=f"{MLM_ROOT}/samples/{{sample_set}}.card.json",
        rejections=f"{MLM_ROOT}/samples/{{sample_set}}.rejections.csv",
    log:
        f"{MLM_LOGS}/build_mlm_samples/{{sample_set}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/build_mlm_samples/{{sample_set}}.tsv"
    wildcard_constraints:
        sample_set="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: 2
    resources:
        **needs("build_mlm_samples"),
    params:
        code=code_of("build_mlm_samples.py"),
        options=lambda wildcards: mlm_options(
            MLM.config["samples"][wildcards.sample_set], "corpus"
        ),
    shell:
        "python scripts/build_mlm_samples.py --texts {input.texts:q} --corpus-card {input.card:q}"
        " {params.options} --workers {threads} --out {output.samples:q} 2> {log:q}"


rule build_ko_lambada:
    input:
        texts=f"{MLM_CORPUS}/evaluation.jsonl",
        card=f"{MLM_CORPUS}/card.json",
    output:
        rows=f"{MLM_ROOT}/lambada/{{corpus}}.jsonl",
        card=f"{MLM_ROOT}/lambada/{{corpus}}.card.json",
        sample=f"{MLM_ROOT}/lambada/{{corpus}}.sample.txt",
    log:
        f"{MLM_LOGS}/build_ko_lambada/{{corpus}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/build_ko_lambada/{{corpus}}.tsv"
    wildcard_constraints:
        corpus="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: 2
    resources:
        **needs("build_ko_lambada"),
    params:
        code=code_of("build_ko_lambada.py"),
    shell:
        "python scripts/build_ko_lambada.py --texts {input.texts:q} --corpus-card {input.card:q}"
        " --workers {threads} --out {output.rows:q} 2> {log:q}"


rule train_mlm:
    input:
        texts=mlm_part("training"),
    output:
        record=f"{MLM_MODEL}/mlm/training.json",
        history=f"{MLM_MODEL}/mlm/history.csv",
    log:
        f"{MLM_LOGS}/train_mlm/{{mlm_model}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/train_mlm/{{mlm_model}}.tsv"
    wildcard_constraints:
        mlm_model="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: lambda wildcards: MLM.config["models"][wildcards.mlm_model]["threads"]
    resources:
        **needs("train_mlm"),
        gpu=1,
    params:
        code=code_of("train_mlm.py"),
        network=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["network"]
        ),
        training=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["mlm"]
        ),
    shell:
        "python scripts/train_mlm.py --texts {input.texts:q} {params.network} {params.training}"
        ' --threads {threads} --output-dir "$(dirname {output.record:q})" 2> {log:q}'


rule finetune_mlm_entities:
    input:
        start=f"{MLM_MODEL}/mlm/training.json",
        training=mlm_part("training"),
        heldout=mlm_part("heldout"),
    output:
        record=f"{MLM_MODEL}/entity/training.json",
        history=f"{MLM_MODEL}/entity/history.csv",
    log:
        f"{MLM_LOGS}/finetune_mlm_entities/{{mlm_model}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/finetune_mlm_entities/{{mlm_model}}.tsv"
    wildcard_constraints:
        mlm_model="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: lambda wildcards: MLM.config["models"][wildcards.mlm_model]["threads"]
    resources:
        **needs("finetune_mlm_entities"),
        gpu=1,
    params:
        code=code_of("run_entity_coref_finetune_v2.py"),
        start=lambda wildcards, input: (
            f"{input.start.rsplit('/', 1)[0]}/checkpoint-{mlm_last_step(wildcards.mlm_model)}"
        ),
        length=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["network"],
            "hidden",
            "layers",
            "heads",
            "vocabulary",
            "dropout",
        ),
        training=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["entity"]
        ),
    shell:
        "python scripts/run_entity_coref_finetune_v2.py --checkpoint {params.start:q}"
        ' --dataset "$(dirname {input.training:q})" {params.length} {params.training}'
        ' --threads {threads} --output-dir "$(dirname {output.record:q})" 2> {log:q}'


rule evaluate_mlm_checkpoint:
    input:
        model=mlm_checkpoint_files,
        samples=mlm_samples("jsonl"),
        card=mlm_samples("card.json"),
        lambada=mlm_lambada(),
        training_texts=mlm_training_texts,
        templates=[
            "reports/mlm_README.txt.j2",
            "config/schemas/mlm_results.schema.json",
        ],
    output:
        short=f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval_results.json",
        results=f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/results.json",
        readme=report(
            f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/README.txt",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_readme.rst",
        ),
        predictions=f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/predictions.parquet",
        groups=directory(f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/groups"),
        diagnostics=directory(f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/diagnostics"),
        figure=report(
            f"{MLM_RUN}/{{phase}}/{{mlm_name}}_eval/figures/groups.png",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_groups.rst",
        ),
        report=f"{MLM_RUN}/{{phase}}/{{mlm_name}}_report.txt",
    log:
        f"{MLM_LOGS}/evaluate_mlm_checkpoint/{{mlm_run}}/{{phase}}/{{mlm_name}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/evaluate_mlm_checkpoint/{{mlm_run}}/{{phase}}/{{mlm_name}}.tsv"
    wildcard_constraints:
        mlm_run="[a-z][a-z0-9_]*",
        phase="[a-z][a-z0-9_]*",
        mlm_name="checkpoint-([0-9]+|best)",
    conda:
        "../envs/mlm.yaml"
    threads: MLM.config["evaluation"]["threads"]
    resources:
        **needs("evaluate_mlm_checkpoint"),
        gpu=1,
    params:
        code=code_of("evaluate_checkpoint.py"),
        folder=lambda wildcards: mlm_checkpoint(wildcards).folder,
        settings=lambda wildcards: mlm_options(
            MLM.config["runs"][wildcards.mlm_run], "samples", "phases", "compare"
        ),
        depth=mlm_options(MLM.config["evaluation"], "threads"),
        baseline=json.dumps(MLM.config["baseline"]),
        training=lambda wildcards, input: given(
            "--training-texts", input.training_texts
        ),
        lambada=given("--lambada", MLM_LAMBADA),
    shell:
        "python scripts/evaluate_checkpoint.py --checkpoint {params.folder:q}"
        " --samples {input.samples:q} {params.lambada} {params.settings} {params.depth}"
        " --baseline {params.baseline:q} {params.training} --threads {threads}"
        ' --output-dir "$(dirname {output.short:q})" > {output.report:q} 2> {log:q}'


rule summarise_mlm:
    input:
        results=mlm_results,
        records=mlm_records,
        template="reports/mlm_summary.md.j2",
    output:
        markdown=report(
            f"{MLM_RUN}/summary.md",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_summary.rst",
        ),
        csv=f"{MLM_RUN}/summary.csv",
        curve=report(
            f"{MLM_RUN}/figures/learning_curve.png",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_learning_curve.rst",
        ),
    log:
        f"{MLM_LOGS}/summarise_mlm/{{mlm_run}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/summarise_mlm/{{mlm_run}}.tsv"
    wildcard_constraints:
        mlm_run="[a-z][a-z0-9_]*",
    conda:
        "../envs/mlm.yaml"
    threads: 1
    resources:
        **needs("summarise_mlm"),
    params:
        code=code_of("jobs/write_mlm_summary.py"),
        folders=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.records
        ],
        compare=lambda wildcards: MLM.config["runs"][wildcards.mlm_run].get("compare")
        or [],
        bootstrap=MLM.config["evaluation"]["bootstrap"],
    shell:
        "python scripts/jobs/write_mlm_summary.py --run {wildcards.mlm_run}"
        " --folders {params.folders:q} --compare {params.compare:q} --bootstrap {params.bootstrap}"
        " --command 'snakemake --cores 2 {output.markdown}' --out {output.markdown:q} 2> {log:q}"
