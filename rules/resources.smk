# Memory and time of every rule, as functions of its task's size and of the attempt: the figures are
# in foldwise.estimate.demands.
from foldwise.estimate.demands import DEMANDS, training_minutes
from foldwise.estimate.sizes import task_size
from foldwise.study.passes import passes_per_epoch

SMALL_TASK = 20_000  # structures; above, processes are worth waiting for


def size_of(wildcards, copies=False):
    """Size of a job's task, of all tasks of a joint pretraining, or of the copies of one task."""
    named = dict(wildcards.items())
    recipe = STUDY.recipes.get(named.get("recipe"))
    of_recipe = joint_tasks(named["recipe"]) if recipe and recipe.pretrain else []
    tasks = [named["task"]] if "task" in named else of_recipe or [STUDY.task]
    first, *others = [
        task_size(task, STUDY.datasets[task], Path(DATA.format(task=task)))
        for task in tasks
    ]
    return sum(others, start=first) * (STUDY.copies["copies"] if copies else 1)


def longest(minutes):
    """What the site allows of a time limit."""
    return min(minutes, SITE.minutes or minutes) if SITE else minutes


def needs(name, copies=False):
    """`mem_mb` and `runtime` of a rule."""
    demand = DEMANDS[name]
    return {
        "mem_mb": lambda wildcards, attempt: demand.memory_mb(
            size_of(wildcards, copies), attempt
        ),
        "runtime": lambda wildcards, attempt: longest(
            demand.time_minutes(size_of(wildcards, copies), attempt)
        ),
    }


def training_memory(wildcards, attempt):
    augmented = soft_kind(wildcards.recipe) == "augmented"
    factor = 1 + STUDY.copies["copies"] if augmented else 1
    return DEMANDS["train_model"].memory_mb(size_of(wildcards) * factor, attempt)


def training_time(wildcards, attempt):
    recipe = STUDY.recipes[wildcards.recipe]
    passes = recipe.epochs * passes_per_epoch(recipe, STUDY.copies["copies"])
    on_gpu = SITE is not None and SITE.gpu is not None
    return longest(
        training_minutes(size_of(wildcards), passes, on_gpu=on_gpu, attempt=attempt)
    )


def training_needs():
    """As `needs`, for a training: its time follows from its recipe too."""
    return {"mem_mb": training_memory, "runtime": training_time}
