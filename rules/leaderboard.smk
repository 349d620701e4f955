# The whole leaderboard: every submission of a folder, all tasks. Nothing is trained on crystals here.
from foldwise.study.board import parse_board

try:
    BOARD = parse_board(config)
except FoldwiseError as error:
    print(f"error: config: {error}", file=sys.stderr)
    sys.exit(2)

MEMBERS = f"{ROOT}/members"
ANSWERS = f"{ROOT}/combined/{{task}}"
CRYSTALS = f"{ROOT}/structures/{{task}}.parquet"
GOALS = [
    f"{ROOT}/LEADERBOARD.md",
    f"{ROOT}/LEADERBOARD.csv",
    *expand(f"{ROOT}/{{task}}", task=BOARD.tasks),
]


def board_settings(wildcards):
    task = BOARD.tasks[wildcards.task]
    low = [] if task.low is None else ["--low", str(task.low)]
    beside = [f"{MEMBERS}/{other}/members.parquet" for other in task.beside]
    return [
        *(["--classes"] if task.classification else []),
        *low,
        *(["--beside", *beside] if beside else []),
        *(["--structures", *crystals(wildcards)] if crystals(wildcards) else []),
    ]


def crystals(wildcards):
    """The table of a task's crystals, where the study has a dataset with them."""
    known = wildcards.task in BOARD.structures
    return [CRYSTALS.format(task=wildcards.task)] if known else []


def of_numbers(pattern):
    """`pattern`, for every fold, of a task whose target is a number; the folder of classes has no use for it."""
    return lambda wildcards: (
        []
        if BOARD.tasks[wildcards.task].classification
        else sorted(set(expand(pattern, task=wildcards.task, fold=STUDY.folds)))
    )


def quoted(values):
    return " ".join(shlex.quote(str(value)) for value in values)


rule read_board_members:
    input:
        submissions=[str(path) for path in BOARD.files.values()],
        targets=expand(f"{DATA}/targets.parquet", task=BOARD.tasks),
    output:
        members=directory(MEMBERS),
    log:
        f"{LOGS}/read_board_members.log",
    benchmark:
        f"{BENCHMARKS}/read_board_members.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("read_board_members"),
    params:
        code=code_of("jobs/read_board_members.py"),
        names=quoted(BOARD.files),
        tasks=quoted(BOARD.tasks),
        checksums=json.dumps(BOARD.checksums),
    shell:
        "python scripts/jobs/read_board_members.py --names {params.names}"
        " --submissions {input.submissions:q} --tasks {params.tasks}"
        " --targets {input.targets:q} --checksums {params.checksums:q}"
        " --out {output.members:q} > {log:q} 2>&1"


rule describe_structures:
    input:
        structures=lambda wildcards: str(BOARD.structures[wildcards.task]),
    output:
        table=CRYSTALS,
    log:
        f"{LOGS}/describe_structures/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/describe_structures/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(BOARD.structures),
    conda:
        "../envs/crystals.yaml"
    threads: 2
    resources:
        **needs("describe_structures"),
    params:
        code=code_of("jobs/describe_structures.py"),
    shell:
        "python scripts/jobs/describe_structures.py --task {wildcards.task}"
        " --structures {input.structures:q} --threads {threads} --out {output.table:q} 2> {log:q}"


rule combine_board_task:
    input:
        members=MEMBERS,
        structures=crystals,
    output:
        answers=directory(ANSWERS),
    log:
        f"{LOGS}/combine_board_task/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/combine_board_task/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(BOARD.tasks),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("combine_board_task"),
    params:
        code=code_of("jobs/combine_board_task.py"),
        settings=lambda wildcards: quoted(board_settings(wildcards)),
    shell:
        "python scripts/jobs/combine_board_task.py --task {wildcards.task}"
        " --members {input.members:q}/{wildcards.task}/members.parquet"
        " {params.settings} --out {output.answers:q} 2> {log:q}"


rule write_board_task:
    input:
        members=MEMBERS,
        answers=ANSWERS,
        targets=f"{DATA}/targets.parquet",
        card=f"{DATA}/card.json",
        dataset_failures=f"{DATA}/failures.csv",
        duplicates=of_numbers(f"{ROOT}/splits/{{task}}/duplicates.json"),
        splits=of_numbers(SPLIT),
        templates=[
            "reports/README.txt.j2",
            "reports/board_README.txt.j2",
            "config/schemas/results.schema.json",
        ],
    output:
        folder=directory(f"{ROOT}/{{task}}"),
    log:
        f"{LOGS}/write_board_task/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/write_board_task/{{task}}.tsv"
    wildcard_constraints:
        task=one_of(BOARD.tasks),
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_board_task"),
    params:
        code=code_of("jobs/write_board_task.py"),
        study=lambda wildcards: json.dumps(
            STUDY.shared_with(wildcards.task), sort_keys=True
        ),
    shell:
        "python scripts/jobs/write_board_task.py --task {wildcards.task} --study {params.study:q}"
        " --members {input.members:q}/{wildcards.task} --answers {input.answers:q}"
        " --targets {input.targets:q} --card {input.card:q}"
        " --dataset-failures {input.dataset_failures:q} --duplicates {input.duplicates:q}"
        " --splits {input.splits:q}"
        ' --command "${{FOLDWISE_CALL}} {output.folder}"'
        " --out {output.folder:q} 2> {log:q}"


rule write_board:
    input:
        members=MEMBERS,
        answers=expand(ANSWERS, task=BOARD.tasks),
        published=[path for task in BOARD.tasks for path in leaderboard(task)],
        template="reports/LEADERBOARD.md.j2",
    output:
        markdown=report(
            f"{ROOT}/LEADERBOARD.md",
            category="Summary",
            caption="../reports/leaderboard.rst",
        ),
        csv=f"{ROOT}/LEADERBOARD.csv",
        steps=f"{ROOT}/STEPS.csv",
    log:
        f"{LOGS}/write_board.log",
    benchmark:
        f"{BENCHMARKS}/write_board.tsv"
    conda:
        "../envs/crystals.yaml"
    threads: 1
    resources:
        **needs("write_board"),
    params:
        code=code_of("jobs/write_board.py"),
        absent=quoted(BOARD.absent),
    shell:
        "python scripts/jobs/write_board.py --answers {input.answers:q}"
        " --census {input.members:q}/census.json --absent {params.absent}"
        " --out-markdown {output.markdown:q}"
        " --out-csv {output.csv:q} --out-steps {output.steps:q} 2> {log:q}"
