# The life of a run: what Snakemake tells the registry, and in which order experiments finish.
from foldwise.tracking.order import experiment_priorities, first, model_priorities
from foldwise.tracking.session import begin, end

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
    return FIRST


def made_for_experiments(dag):
    """Files that this call makes for each experiment it is asked for; none if it is up to date."""
    made = {}
    for job in dag.jobs:
        for exp in STUDY.names:
            if f"{ROOT}/{exp}/results.json" in job.output:
                jobs = dag.bfs(dag.dependencies, job) if dag.needrun(job) else ()
                needed = [each for each in jobs if dag.needrun(each)]
                made[exp] = [str(path) for each in needed for path in each.output]
    return made


for each_rule in workflow.rules:
    each_rule.priority = run_priority


onstart:
    begin(
        ROOT,
        study=config,
        configs={exp: STUDY.resolved(exp) for exp in STUDY.names},
        outputs=made_for_experiments(workflow.dag),
        log=log[0],
    )


onsuccess:
    end(ROOT)


onerror:
    end(ROOT)
