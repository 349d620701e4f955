"""What is refused before anything is queued: jobs that no node of the site can ever run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foldwise.cluster.slurm import NoAnswer, Partition, ask, partitions
from foldwise.common.errors import FoldwiseError


@dataclass(frozen=True)
class Request:
    """What a job asks for.

    Attributes:
        rule: Its rule.
        cores: Cores.
        memory_mb: Memory in MB.
        minutes: Time limit.
        gpus: GPUs.
        partition: Partition; empty: the default.
        options: Further options of `sbatch`, such as `--account=x`.
    """

    rule: str
    cores: int
    memory_mb: int
    minutes: int
    gpus: int = 0
    partition: str = ""
    options: tuple[str, ...] = ()


def request_of(rule: str, threads: int, resources: Mapping[str, object]) -> Request:
    """The request of a job with these resources, named as the Slurm plugin names them."""
    gres = str(resources.get("gres") or "")
    gpus = int(str(resources.get("gpu") or 0)) or (1 if gres.startswith("gpu") else 0)
    given = {
        "--account": resources.get("slurm_account"),
        "--constraint": resources.get("constraint"),
        "--qos": resources.get("qos"),
        "--gres": gres or None,
    }
    return Request(
        rule=rule,
        cores=threads,
        memory_mb=int(str(resources.get("mem_mb") or 0)),
        minutes=int(str(resources.get("runtime") or 0)),
        gpus=gpus,
        partition=str(resources.get("slurm_partition") or ""),
        options=tuple(f"{flag}={value}" for flag, value in given.items() if value),
    )


def check_requests(requests: Sequence[Request]) -> None:
    """Check that the cluster has a node for every request, and that the account is accepted.

    Every different request is also shown to `sbatch --test-only`, which queues nothing.

    Raises:
        FoldwiseError: A partition is unknown, no node or time limit suffices, or sbatch refuses.
    """
    try:
        known = partitions()
    except NoAnswer as error:
        raise FoldwiseError(
            f"sinfo: {error}", where="Slurm", hint="Wait for the controller, then call again."
        ) from error
    for request in dict.fromkeys(requests):
        _check_partition(request, known)
    for request in {_shape(one): one for one in requests}.values():
        _ask_sbatch(request)


def _shape(request: Request) -> tuple[object, ...]:
    return (
        request.cores, request.memory_mb, request.minutes, request.gpus, request.partition,
        request.options,
    )  # fmt: skip


def _check_partition(request: Request, known: Mapping[str, Partition]) -> None:
    where = f"rule {request.rule}"
    default = next((one.name for one in known.values() if one.is_default), None)
    name = request.partition or default
    if name is None:
        raise FoldwiseError(
            "the cluster has no default partition",
            where=where,
            hint=f"Name one in site.yaml; there are {', '.join(sorted(known))}.",
        )
    # sbatch takes several, separated by commas, and uses the first that starts the job.
    for each in name.split(","):
        if each not in known:
            raise FoldwiseError(
                f"no partition {each!r}",
                where=where,
                hint=f"Name one of {', '.join(sorted(known))} in site.yaml.",
            )
    chosen = [known[each] for each in name.split(",")]
    limits = [one.minutes for one in chosen]
    if None not in limits and request.minutes > max(limit for limit in limits if limit is not None):
        raise FoldwiseError(
            f"asks for {request.minutes} minutes, partition {name} allows "
            f"{max(limit for limit in limits if limit is not None)}",
            where=where,
            hint="Name a longer partition in site.yaml, or give less: "
            f"--set-resources {request.rule}:runtime=… (a training that is cut off goes on).",
        )
    nodes = [node for one in chosen for node in one.nodes]
    fits = any(
        node.cores >= request.cores
        and node.memory_mb >= request.memory_mb
        and (not request.gpus or "gpu" in node.gres)
        for node in nodes
    )
    if not fits:
        gpu = f" and {request.gpus} GPU" if request.gpus else ""
        largest = "; ".join(
            f"{node.cores} cores, {node.memory_mb} MB" + (f", {node.gres}" if node.gres else "")
            for node in sorted(set(nodes), key=lambda one: -one.memory_mb)[:3]
        )
        raise FoldwiseError(
            f"asks for {request.cores} core(s), {request.memory_mb} MB{gpu}; "
            f"partition {name} has nodes of {largest}",
            where=where,
            hint=f"Set cores in site.yaml, or --set-resources {request.rule}:mem_mb=….",
        )


def _ask_sbatch(request: Request) -> None:
    command = [
        "sbatch", "--test-only", f"--cpus-per-task={request.cores}", f"--mem={request.memory_mb}",
        f"--time={request.minutes}", *request.options,
    ]  # fmt: skip
    if request.partition:
        command.append(f"--partition={request.partition}")
    if request.gpus and not any(option.startswith("--gres") for option in request.options):
        command.append(f"--gpus={request.gpus}")
    try:
        ask(*command, "--wrap=true")
    except NoAnswer as error:
        raise FoldwiseError(
            f"sbatch would refuse the job: {str(error).removeprefix('sbatch: error: ')}",
            where=f"rule {request.rule}",
            hint="Correct site.yaml: " + " ".join(command[2:]),
        ) from error
