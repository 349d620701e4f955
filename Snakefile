from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/resources.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/teacher_lookup.smk"
include: "rules/teachers.smk"
include: "rules/ensembles.smk"
include: "rules/submission_lookup.smk"
include: "rules/submissions.smk"
include: "rules/experiments.smk"
include: "rules/mixed.smk"
include: "rules/text.smk"
include: "rules/site.smk"


if config.get("leaderboard"):

    include: "rules/leaderboard.smk"


include: "rules/mlm.smk"
include: "rules/mlflow.smk"
include: "rules/cluster.smk"
include: "rules/tracking.smk"


wildcard_constraints:
    exp="[a-z][a-z0-9_]*",
    recipe="[a-z][a-z0-9_]*",
    task="[a-z][a-z0-9_]*",
    fold="[0-9]+",
    seed="[0-9]+",
    tta="[0-9]+",
    subset="test|train|copies|crossfit",
    submission="[A-Za-z0-9][A-Za-z0-9._-]*",


rule all:
    default_target: True
    input:
        GOALS,


include: "rules/targets.smk"
