# The site of the study: a folder that a browser opens without a server.
SITE_STRUCTURES = STUDY.task in WITH_STRUCTURES


rule write_site:
    input:
        experiments=expand(f"{ROOT}/{{exp}}/results.json", exp=STUDY.names),
        targets=f"{TASK_DATA}/targets.parquet",
        card=f"{TASK_DATA}/card.json",
        structures=f"{TASK_DATA}/structures.npz" if SITE_STRUCTURES else [],
        duplicates=(
            f"{ROOT}/splits/{STUDY.task}/duplicates.csv" if SITE_STRUCTURES else []
        ),
        templates=site_files(),
        published=leaderboard(STUDY.task),
    output:
        index=f"{ROOT}/site/index.html",
    log:
        f"{LOGS}/write_site.log",
    benchmark:
        f"{BENCHMARKS}/write_site.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_site"),
    params:
        code=code_of("write_site.py"),
        folders=lambda wildcards, input: [
            path.rsplit("/", 1)[0] for path in input.experiments
        ],
        structures="--structures" if SITE_STRUCTURES else "",
        duplicates="--duplicates" if SITE_STRUCTURES else "",
    shell:
        'python scripts/write_site.py --root "$(dirname "$(dirname {output.index:q})")"'
        " --experiments {params.folders:q} --targets {input.targets:q} --card {input.card:q}"
        " {params.structures} {input.structures:q} {params.duplicates} {input.duplicates:q}"
        ' --out "$(dirname {output.index:q})" > {log:q} 2>&1'
