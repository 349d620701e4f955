# Off by default: snakemake --sdm conda results/mlflow/export.txt
localrules:
    export_mlflow,


rule export_mlflow:
    input:
        experiments=expand(f"{ROOT}/{{exp}}/results.json", exp=STUDY.names),
    output:
        summary=f"{ROOT}/mlflow/export.txt",
    log:
        f"{LOGS}/export_mlflow.log",
    benchmark:
        f"{BENCHMARKS}/export_mlflow.tsv"
    conda:
        "../envs/mlflow.yaml"
    threads: 1
    resources:
        **needs("export_mlflow"),
    params:
        code=code_of("runs.py"),
    shell:
        'python scripts/runs.py --results "$(dirname "$(dirname {output.summary:q})")" export-mlflow'
        " > {output.summary:q} 2> {log:q}"
