# The life of a run: what Snakemake tells the registry, and in which order experiments finish.
from foldwise.study.order import experiment_priorities, first, model_priorities
from foldwise.teachers.outcomes import forget_failures
from foldwise.tracking.calls.locks import enter
from foldwise.tracking.calls.session import begin, end

if workflow.is_main_process:
    for message in enter(Path(".snakemake")):
        print(message, file=sys.stderr)

# Snakemake sees no reason to run a program again that failed: its job, to try, was done. A member that a
# study goes on without stays left out until it is forced, or every call would try it again.
if CALLED and not CALLED.dryrun and not any(Path(".snakemake/locks").glob("*.lock")):
    forget_failures(
        f"{ROOT}/models",
        [name for name in PROGRAMS if STUDY.recipes[name].on_failure == "stop"],
    )

FIRST = first(STUDY)
OF_EXPERIMENT = experiment_priorities(STUDY)
OF_MODEL = model_priorities(STUDY)


def run_priority(wildcards):
    """The first experiment's jobs go first; what belongs to none (data, splits) before them."""
    named = dict(wildcards.items())
    exp = named.get("exp") or named.get("combination")
    if exp is not None:
        return OF_EXPERIMENT.get(exp, FIRST)
    if "recipe" in named and "seed" in named:
        return OF_MODEL.get((named["recipe"], int(named["seed"])), FIRST)
    if "recipe" in named:
        of_seeds = [
            rank for (recipe, _), rank in OF_MODEL.items() if recipe == named["recipe"]
        ]
        return max(of_seeds, default=FIRST)
    return FIRST


def training_priority(wildcards):
    """A training waits for what else its experiment has ready, so that a result appears early."""
    return run_priority(wildcards) - 1


def largest_first(wildcards):
    """Of a leaderboard's tasks the largest goes first, so that it is not left alone at the end."""
    return run_priority(wildcards) + BOARD.tasks[wildcards.task].n_rows


def jobs_of_experiments(dag):
    """Jobs of this call for each experiment it is asked for; none if it is up to date."""
    found = {}
    for job in dag.jobs:
        for exp in STUDY.names:
            if f"{ROOT}/{exp}/results.json" in job.output:
                jobs = dag.bfs(dag.dependencies, job) if dag.needrun(job) else ()
                found[exp] = [
                    {
                        "rule": needed.rule.name,
                        "outputs": [str(path) for path in needed.output],
                        "logs": [str(path) for path in needed.log],
                    }
                    for needed in jobs
                    if dag.needrun(needed)
                ]
    return found


for each in workflow.rules:
    if each.name == "combine_board_task":
        each.priority = largest_first
    elif each.name in ("train_model", "pretrain_model") or (
        each.name.endswith("_together")
    ):
        each.priority = training_priority
    else:
        each.priority = run_priority


onstart:
    # On one machine nothing needs Snakemake's limit of 100 jobs per second, and it costs a core: while
    # jobs wait for a core, each pass of its scheduler starts a timer that asks for another pass.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    settle_queue()
    begin(
        ROOT,
        study=config,
        configs={exp: STUDY.resolved(exp) for exp in STUDY.names},
        jobs=jobs_of_experiments(workflow.dag),
        log=log[0],
    )


onsuccess:
    end(ROOT)


onerror:
    end(ROOT)
