# What a Slurm site adds to the rules, and what is settled before its queue gets the first job.
import contextlib
import importlib
import io

from snakemake.cli import parse_args
from snakemake.deployment.env_modules import EnvModules

from foldwise.cluster.call import enter_queue, settle, site_of_call
from foldwise.cluster.site import resources_of

JOBS_OF_A_BATCH = 20
# Jobs of seconds: beside Snakemake, or many to one Slurm job.
SHORT_JOBS = {
    "make_splits",
    "average_predictions",
    "average_held_out_predictions",
    "check_series",
    "choose_soft_weight",
    "summarise",
    "write_ablation",
}


def called_options():
    """Options of this call, its profiles among them; none inside of a job."""
    by_command_line = {Path(sys.argv[0]).name, Path(sys.argv[0]).parent.name}
    if not workflow.is_main_process or "snakemake" not in by_command_line:
        return None
    with contextlib.redirect_stderr(io.StringIO()):  # it names the profiles once more
        return parse_args(sys.argv[1:])[1]


CALLED = called_options()
try:
    SITE = site_of_call(CALLED, os.environ)
    if SITE and CALLED and not CALLED.dryrun:
        enter_queue(Path.cwd())
except FoldwiseError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def fit_to_site(one):
    """Account, partition, constraint and GPU of a rule; what the command line sets, stays."""
    set_by_hand = workflow.resource_settings.overwrite_resources.get(one.name, {})
    for name, value in resources_of(SITE, wants_gpu="gpu" in one.resources).items():
        if name not in set_by_hand:
            one.resources[name] = value
    if SITE.modules:
        one.env_modules = EnvModules(*SITE.modules)
    if SITE.short_jobs == "batched" and one.name in SHORT_JOBS:
        # Jobs of two rules in a batch could wait for those of a third one between them.
        one.group = one.name


if SITE:
    for each in workflow.rules:
        fit_to_site(each)
    present = SHORT_JOBS & {each.name for each in workflow.rules}
    if SITE.short_jobs == "local":
        workflow.localrules(*present)
    else:
        workflow.group_settings.group_components = {
            **dict.fromkeys(present, JOBS_OF_A_BATCH),
            **workflow.group_settings.group_components,
        }
    workflow.resource_settings.max_threads = min(
        SITE.cores, workflow.resource_settings.max_threads or SITE.cores
    )


def settle_queue():
    """Check what the jobs ask for, name this call, and make the plugin patient."""
    if not (SITE and CALLED):
        return
    executor = workflow.scheduler._executor
    jobs = [
        (job.rule.name, job.threads, dict(job.resources.items()))
        for job in workflow.dag.needrun_jobs()
        if not job.is_local
    ]
    try:
        settle(importlib.import_module(type(executor).__module__), executor, jobs)
    except FoldwiseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
