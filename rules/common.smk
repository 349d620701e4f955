# Paths and look-ups, nothing else: the study is checked and derived in foldwise.study.study.
import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

sys.path.insert(0, f"{workflow.basedir}/scripts")

from foldwise.common.code import code_of
from foldwise.common.errors import FoldwiseError
from foldwise.study.command_line import call_again, type_values
from foldwise.study.config import parse_study
from foldwise.study.checks import missing_files, warnings
from foldwise.study.kinds import NETWORK
from foldwise.study.outside.own_predictions import PREDICTIONS as OWN_PREDICTIONS
from foldwise.study.outside.program import PROGRAM
from foldwise.study.outside.text import TEXT
from foldwise.tasks.sources import EMBEDDED
from foldwise.tracking.calls.interpreter import put_interpreter_first

if not Path("config/config.yaml").is_file():
    print(
        f"error: config/config.yaml: there is none below {os.getcwd()}. Call snakemake in the"
        " repository, or with --directory and the repository's folder.",
        file=sys.stderr,
    )
    sys.exit(2)

type_values(config, workflow.config_settings.config or {})
try:
    STUDY = parse_study(config)
except FoldwiseError as error:
    print(f"error: config: {error}", file=sys.stderr)
    sys.exit(2)

absent = missing_files(STUDY)
if absent:
    print(f"error: config: {absent}", file=sys.stderr)
    sys.exit(2)

if workflow.is_main_process:
    for warning in warnings(STUDY):
        print(f"warning: config: {warning}", file=sys.stderr)

# How this study is called again, for its folders. As a parameter of the rules it would make them
# stale under another file's name.
if workflow.is_main_process:
    os.environ["FOLDWISE_CALL"] = call_again(
        workflow.overwrite_configfiles, workflow.config_settings.config or {}
    )


envvars:
    "FOLDWISE_CALL",


# Jobs say `python`, and mean the one that runs Snakemake, whether or not its environment has been
# activated. With conda environments, each rule's own is activated instead: conda may put it where
# another one stood in PATH, which is then not the beginning.
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    put_interpreter_first()


ROOT = STUDY.root
DATA = f"{ROOT}/data/{{task}}"
SPLIT = f"{ROOT}/splits/{{task}}/fold_{{fold}}.json"
MODEL = f"{ROOT}/models/{{recipe}}/{{task}}/fold_{{fold}}/seed_{{seed}}"
PREDICTIONS = f"{ROOT}/predictions/{{recipe}}/{{task}}/fold_{{fold}}/seed_{{seed}}"
ENSEMBLE = f"{ROOT}/ensembles/{{exp}}/{{task}}/fold_{{fold}}"
COPIES = f"{DATA}/copies/fold_{{fold}}"
TASK_DATA = DATA.format(task=STUDY.task)
LOGS = f"{ROOT}/logs"
BENCHMARKS = f"{ROOT}/benchmarks"

# What a call without targets makes.
GOALS = [
    *expand(f"{ROOT}/{{exp}}/results.json", exp=STUDY.names),
    f"{ROOT}/RESULTS.md",
    f"{ROOT}/ablation.md",
]


def dataset_file(task):
    """The local file of a task; nothing where the matbench package downloads it."""
    dataset = STUDY.datasets[task]
    if dataset["source"] == "embedded":
        return [embedded_file(dataset), f"data/{embedded_name(dataset)}.card.json"]
    return dataset.get("path", [])


def embedded_name(dataset):
    return dataset.get("name") or EMBEDDED


def embedded_file(dataset):
    return f"data/{embedded_name(dataset)}.json.gz"


def dataset_options(task):
    dataset = STUDY.datasets[task]
    flags = {
        "--source": dataset["source"],
        "--path": (
            embedded_file(dataset)
            if dataset["source"] == "embedded"
            else dataset.get("path")
        ),
        "--target": dataset.get("column"),
        "--target-name": dataset["target_name"],
        "--unit": dataset["unit"],
        "--sha256": dataset.get("sha256"),
        "--max-atoms": dataset.get("max_atoms"),
    }
    given = [
        f"{flag} {shlex.quote(str(value))}" for flag, value in flags.items() if value
    ]
    return " ".join(
        [*given, "--intensive" if dataset["intensive"] else "--no-intensive"]
    )


def split_rule(task):
    """How a task's folds are cut; other tasks than the study's keep theirs."""
    keys = ("kind", "table", "column") if task == STUDY.task else ()
    return {key: STUDY.splits[key] for key in keys if key in STUDY.splits}


def given(flag, value):
    """`flag value` as the shell takes it; nothing without a value."""
    return f"{flag} {shlex.quote(str(value))}" if value else ""


def members(pattern, exp, fold=None, seeds=None):
    """`pattern` for every model of an experiment: folds first, then seeds."""
    experiment = STUDY.experiments[exp]
    return expand(
        pattern,
        recipe=experiment.recipe,
        task=STUDY.task,
        fold=STUDY.folds if fold is None else fold,
        seed=experiment.seeds if seeds is None else seeds,
    )


def all_members(pattern, exp):
    """As `members`, for the models of all replicates."""
    return members(pattern, exp, seeds=STUDY.experiments[exp].all_seeds)


def answers(exp):
    """Folder of the predictions that an experiment's models answer with."""
    tta = STUDY.experiments[exp].tta
    return f"{PREDICTIONS}/tta_{tta}" if tta > 1 else PREDICTIONS


def held_out_answers(exp):
    """File of what an experiment's models answer for the rows that they held out."""
    tta = STUDY.experiments[exp].tta
    return f"{answers(exp)}/{'held_out' if tta > 1 else 'train'}.parquet"


def ensemble_members(wildcards):
    folder = answers(wildcards.exp) if wildcards.subset == "test" else PREDICTIONS
    return members(
        f"{folder}/{wildcards.subset}.parquet", wildcards.exp, wildcards.fold
    )


@cache
def gate_of(recipe):
    """The series that a recipe's trainings wait for; asked once, not for each of them."""
    return STUDY.gate(recipe)


def gate(wildcards):
    """The file that says whether a series may go on; nothing for its first experiment."""
    named = dict(wildcards.items())
    if "exp" in named:
        series = STUDY.series_of(named["exp"])
    else:
        series = gate_of(named["recipe"])
    return [] if series is None else f"{ROOT}/gates/{series}.json"


def joint_tasks(recipe):
    """Tasks of a joint pretraining, the study's own first; none without one."""
    pretrain = STUDY.recipes[recipe].pretrain
    others = [] if pretrain is None else [t for t in pretrain.tasks if t != STUDY.task]
    return [STUDY.task, *others] if pretrain else []


def of_joint_tasks(pattern):
    """`pattern` for every task of a joint pretraining."""

    def paths(wildcards):
        fold = {"fold": wildcards.fold} if "{fold}" in pattern else {}
        return expand(pattern, task=joint_tasks(wildcards.recipe), **fold)

    return paths


def pretrained_file(name):
    """File of a model's joint pretraining; nothing where its recipe has none."""
    return lambda wildcards: (
        f"{MODEL}/{name}" if STUDY.recipes[wildcards.recipe].pretrain else []
    )


def holdout(wildcards):
    return STUDY.holdout(wildcards.recipe, int(wildcards.seed))


# What a GPU may do, as every program on the engine takes it.
ENGINE = json.dumps(asdict(STUDY.engine))


def recipe_json(wildcards):
    return json.dumps(STUDY.recipes[wildcards.recipe].as_dict(), sort_keys=True)


def folds(pattern):
    return expand(pattern, task=STUDY.task, fold=STUDY.folds)


def one_of(names):
    """Wildcard constraint: exactly these names; with none, nothing."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


# Tasks with structures, and tasks that are a table of targets alone.
WITHOUT_STRUCTURES = [
    task for task, entry in STUDY.datasets.items() if entry["source"] == "targets"
]
WITH_STRUCTURES = [task for task in STUDY.datasets if task not in WITHOUT_STRUCTURES]


def leaderboard(task):
    """The published results of an official task, where the repository has them."""
    path = f"config/leaderboards/{task}.yaml"
    return [path] if Path(path).is_file() else []


def site_files():
    """Templates, scripts and libraries of the site."""
    return sorted(
        str(path) for path in Path("reports/site").rglob("*") if path.is_file()
    )


# Rules of one kind of model answer for its recipes alone; so do folders of experiments.
NETWORKS = STUDY.of_kind(NETWORK)
PROGRAMS = STUDY.of_kind(PROGRAM)
TRAINED = [exp for exp, entry in STUDY.experiments.items() if entry.recipe in NETWORKS]
OUTSIDE = [exp for exp in STUDY.experiments if exp not in TRAINED]
TEXTS = STUDY.of_kind(TEXT)
READING = [exp for exp in OUTSIDE if STUDY.experiments[exp].recipe in TEXTS]


def is_ensemble(exp):
    return len(STUDY.experiments[exp].seeds) > 1


def soft_kind(recipe):
    teacher = STUDY.recipes[recipe].teacher
    return teacher.targets if teacher else None


def soft_targets(wildcards):
    """File of a student's soft targets; nothing for a teacher."""
    kind = soft_kind(wildcards.recipe)
    if kind is None:
        return []
    subset = {
        "crossfit": "crossfit",
        "in_sample": "train",
        "augmented": "copies",
        "recorded": "recorded",
    }[kind]
    folder = ENSEMBLE.format(
        exp=STUDY.recipes[wildcards.recipe].teacher.ensemble, **_fold_of(wildcards)
    )
    return f"{folder}/{subset}.parquet"


def soft_weight(wildcards):
    """File of the soft weight that a search has chosen; nothing where the recipe states it."""
    if wildcards.recipe not in STUDY.searches:
        return []
    return expand(
        f"{ROOT}/searches/{{recipe}}/{{task}}/fold_{{fold}}.json",
        **dict(wildcards.items()),
    )


def copy_graphs(wildcards):
    """Graphs of the copies, where a student's soft targets are about them."""
    if soft_kind(wildcards.recipe) != "augmented":
        return []
    return f"{COPIES}/graphs".format(**_fold_of(wildcards))


def _fold_of(wildcards):
    return {"task": wildcards.task, "fold": wildcards.fold}
