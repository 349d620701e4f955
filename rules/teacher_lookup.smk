# Paths and look-ups of models from outside, and of ensembles of several recipes.
import math

from foldwise.teachers.environment import is_satisfied

ENVIRONMENTS = "results/environments"
WITH_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method


# Programs that are asked about copies too: an ensemble of theirs teaches a student by them.
LABELLING = [name for name in PROGRAMS if STUDY.labels_copies(name)]


def environment_name(file):
    """Name of an environment file below `ENVIRONMENTS`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", os.path.splitext(file)[0])


# Environments that are made here: of programs that ask for other versions than the current ones.
MADE = {
    environment_name(STUDY.recipes[name].environment): STUDY.recipes[name].environment
    for name in PROGRAMS
    if STUDY.recipes[name].environment
    and not WITH_CONDA
    and not is_satisfied(STUDY.recipes[name].environment)
}


def made_environment(name):
    """Folder of the environment that is made for a program; nothing where it needs none."""
    stem = environment_name(STUDY.recipes[name].environment or "")
    return f"{ENVIRONMENTS}/{stem}/venv" if stem in MADE else []


def copies_of(pattern):
    """`pattern` where a model is asked about copies; nothing else."""
    return lambda wildcards: (
        pattern.format(**_fold_of(wildcards)) if wildcards.recipe in LABELLING else []
    )


MIXED = STUDY.mixed


def mixed_members(pattern, folds=None):
    """`pattern` for every member of a mixed experiment, in the config's order; folds first."""

    def paths(wildcards):
        return [
            pattern.format(recipe=recipe, seed=seed, task=STUDY.task, fold=fold)
            for fold in ([wildcards.fold] if folds is None else folds)
            for recipe, seed in MIXED[wildcards.exp].models
        ]

    return paths


def mixed_rule(wildcards):
    """The options that decide how a mixed experiment is combined."""
    mixed = MIXED[wildcards.exp]
    recipes, seeds = zip(*mixed.models)
    booster = (
        given("--booster", json.dumps(asdict(mixed.booster))) if mixed.booster else ""
    )
    return (
        f"--recipes {' '.join(recipes)} --seeds {' '.join(map(str, seeds))}"
        f" --rule {mixed.combine} {booster}"
    )
