"""What one Slurm site has of its own: account, partitions, GPU type, modules. One small file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.files import read_yaml
from foldwise.common.settings import CLOSED, Whole, checked

FILE = "site.yaml"
VARIABLE = "FOLDWISE_SITE"
"""Environment variable by which the jobs of a call find the file of the call."""

_Word = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Queue:
    """Where one kind of job goes."""

    partition: _Word | None = Field(
        default=None, description="`sbatch --partition`; null: the cluster's default"
    )
    constraint: _Word | None = Field(default=None, description="`sbatch --constraint`")
    qos: _Word | None = Field(default=None, description="`sbatch --qos`")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class GpuQueue(Queue):
    """Where trainings and predictions go on a cluster with GPUs."""

    type: _Word | None = Field(
        default=None, description="GPU type as `sinfo -o %G` names it; null: any"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Site:
    """A Slurm site."""

    account: _Word | None = Field(
        default=None, description="`sbatch --account`; null: your default"
    )
    cpu: Queue = Field(default_factory=Queue, description="jobs that need no GPU")
    gpu: GpuQueue | None = Field(
        default=None, description="trainings and predictions; null: on the CPU nodes too"
    )
    cores: Annotated[Whole, Field(ge=1)] = Field(
        default=4, description="most cores that a job asks for; the bytes do not depend on it"
    )
    minutes: Annotated[Whole, Field(ge=5)] | None = Field(
        default=None,
        description="longest time limit that a job asks for; a training that is cut off goes on in "
        "its next attempt. null: as long as the job may take",
    )
    short_jobs: Literal["local", "batched"] = Field(
        default="local", description="jobs of seconds: beside Snakemake, or twenty to a Slurm job"
    )
    modules: tuple[_Word, ...] = Field(
        default=(), description="environment modules of every job, for `--sdm env-modules`"
    )


def read_site(path: str | Path) -> Site:
    """The site file of a profile.

    Raises:
        FoldwiseError: It is absent, no YAML, or says something that is not allowed.
    """
    content = read_yaml(
        path,
        absent="Copy the folder profiles/slurm and edit its site.yaml: docs/cluster.md.",
        broken="Compare profiles/slurm/site.yaml.",
    )
    return checked(Site, content or {}, file=str(path))


def resources_of(site: Site, *, wants_gpu: bool) -> dict[str, str | int]:
    """What the site adds to a rule's resources, by the Slurm plugin's names.

    Args:
        site: The site.
        wants_gpu: Whether the rule can use a GPU.
    """
    queue: Queue = site.gpu if wants_gpu and site.gpu is not None else site.cpu
    found: dict[str, str | int | None] = {
        "slurm_account": site.account,
        "slurm_partition": queue.partition,
        "constraint": queue.constraint,
        "qos": queue.qos,
    }
    if wants_gpu:
        kind = None if site.gpu is None else site.gpu.type
        # The plugin asks for `gpu` GPUs of any type, or for what `gres` says.
        found["gpu"] = 0 if site.gpu is None or kind else 1
        found["gres"] = f"gpu:{kind}:1" if kind else None
    return {key: value for key, value in found.items() if value is not None}
