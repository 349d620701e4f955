"""What a call of Snakemake settles with a cluster before it queues its first job."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from foldwise.cluster.checks import check_requests, request_of
from foldwise.cluster.orphans import cancel_orphans, name_prefix
from foldwise.cluster.polling import last_error, patient, remembered, steady
from foldwise.cluster.site import FILE, VARIABLE, Site, read_site
from foldwise.cluster.slurm import check_slurm

EXECUTOR = "slurm"


def site_of_call(options: Any, environment: MutableMapping[str, str]) -> Site | None:
    """The site of a call, and of the jobs that it queues; `None` where nothing is queued.

    Args:
        options: Snakemake's options of this call, its profiles among them; `None` inside of a job.
        environment: Tells the jobs of the call which file it is.

    Raises:
        FoldwiseError: The site file says something that is not allowed.
    """
    if options is None:
        file = environment.get(VARIABLE)
        return read_site(file) if file else None
    environment.pop(VARIABLE, None)
    if options.executor != EXECUTOR:
        return None
    named = [
        Path(profile) for profile in (options.workflow_profile, *(options.profile or ())) if profile
    ]
    places = [folder for name in named for folder in (name, Path("profiles") / name)]
    file = next((str(place / FILE) for place in places if (place / FILE).is_file()), None)
    if file is None:
        return Site()
    environment[VARIABLE] = str(Path(file).resolve())
    return read_site(file)


def enter_queue(workdir: Path) -> None:
    """Check that Slurm answers, and cancel what a dead call has left in its queue.

    Raises:
        FoldwiseError: Slurm is not here or does not answer, or jobs of another machine's call are
            queued.
    """
    check_slurm()
    cancel_orphans(workdir, lambda line: print(line, file=sys.stderr))


def settle(
    plugin: Any, executor: Any, jobs: Sequence[tuple[str, int, Mapping[str, object]]]
) -> None:
    """Before the first job is queued: check all requests, name this call, and be patient.

    Args:
        plugin: The executor plugin's module.
        executor: Its executor.
        jobs: Rule, threads and resources of every job that is to be queued.

    Raises:
        FoldwiseError: The cluster has no node for a job, or refuses its account.
    """
    check_requests([request_of(rule, threads, resources) for rule, threads, resources in jobs])
    executor.run_uuid = f"{name_prefix()}_{executor.run_uuid}"
    # Without an account in the site's file there is the user's default one: the plugin would ask an
    # accounting that may not be there.
    executor._fallback_account_arg = ""
    # Each call has its own folder of logs: one that ends removes empty folders, and those of
    # another one's waiting jobs are empty.
    executor.slurm_logdir = Path(executor.slurm_logdir) / name_prefix()
    settings = executor.workflow.executor_settings
    executor.__class__ = steady(type(executor), settings.init_seconds_before_status_checks)
    plugin.query_job_status = patient(
        plugin.query_job_status, said=partial(last_error, executor.slurm_logdir)
    )
    plugin.get_min_job_age = remembered(plugin.get_min_job_age)
