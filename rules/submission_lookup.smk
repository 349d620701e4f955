# Paths and look-ups of recorded teachers; the rules are in submissions.smk.
RECORDED = f"{ROOT}/submissions/{{task}}/{{submission}}"
COMBINED = ENSEMBLE.replace("{exp}", "{combination}")
COMBINATION = STUDY.recorded.combinations


def recorded(pattern):
    """`pattern` for every submission that a combination is made of."""
    return lambda wildcards: expand(
        pattern,
        task=STUDY.task,
        submission=COMBINATION[wildcards.combination].submissions,
    )


def combining(wildcards):
    combination = COMBINATION[wildcards.combination]
    names = " ".join(shlex.quote(name) for name in combination.submissions)
    booster = STUDY.recorded.resolved(combination.name)["recipe"]["booster"] or {}
    settings = shlex.quote(json.dumps(booster))
    return f"--names {names} --rule {combination.rule} --booster {settings}"


def checksum(wildcards):
    return given("--sha256", STUDY.recorded.sha256(wildcards.submission))


def target_table(task):
    """The CSV of a task without structures; nothing where the official file is downloaded."""
    return STUDY.recorded.target_table(task, STUDY.datasets[task]) or []


def target_options(wildcards):
    dataset = STUDY.datasets[wildcards.task]
    given = {
        "--path": target_table(wildcards.task),
        "--target": dataset.get("column"),
        "--target-name": dataset["target_name"],
        "--unit": dataset["unit"],
    }
    flags = [f"{flag} {shlex.quote(value)}" for flag, value in given.items() if value]
    return " ".join(
        [*flags, "--intensive" if dataset["intensive"] else "--no-intensive"]
    )
