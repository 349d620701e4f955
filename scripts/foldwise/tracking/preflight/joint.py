"""A trial of a joint pretraining: the job's own command and files, stopped after a while.

Its steps are larger than those of the fine-tuning that follows, and not longer in proportion: they
cannot be reckoned from another training.
"""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY
from foldwise.tracking.preflight.plan import PlannedJob, call_snakemake
from foldwise.tracking.preflight.trial import Trial, cpu_seconds, last_step

RULE, PROGRAM = "pretrain_model", "scripts/jobs/pretrain_model.py"


def try_pretraining(
    job: PlannedJob, jobs: Sequence[PlannedJob], arguments: Sequence[str], limit: float
) -> Trial:
    """Run the job until it ends or the limit is reached; one "epoch" of the result is all of it.

    Args:
        job: A joint pretraining.
        jobs: All that is planned: what the job needs of it is made first.
        arguments: Options of Snakemake.
        limit: Seconds after which the trial is stopped.

    Raises:
        FoldwiseError: The program fails, or runs no second step within the limit.
    """
    made = {path for other in jobs for path in other.outputs}
    needed = sorted(one for one in job.inputs & made if not (REPOSITORY / one).exists())
    if needed:
        call_snakemake([*needed, *arguments])
    words = _command(job, arguments)
    with tempfile.TemporaryDirectory() as scratch:
        words[words.index("--out") + 1] = str(Path(scratch) / "out")
        log = Path(scratch) / "log"
        started, used = time.monotonic(), cpu_seconds()
        with log.open("wb") as file:
            running = subprocess.Popen(
                [sys.executable, *words],
                cwd=REPOSITORY,
                stderr=file,
                env={**os.environ, "OMP_NUM_THREADS": str(job.threads)},
            )
        try:
            running.wait(limit)
        except subprocess.TimeoutExpired:
            running.terminate()
            running.wait()
        wall = time.monotonic() - started
        text = log.read_text(encoding="utf-8")
    busy = (cpu_seconds() - used) / wall
    done, total, per_step = last_step(text, "pretraining", "pretrain_model.py")
    return Trial(
        steps=done,
        seconds_per_step=per_step,
        seconds_per_epoch=total * per_step,
        overhead=max(0.0, wall - done * per_step),
        host_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        device=None,
        device_bytes=None,
        busy=busy,
    )


def _command(job: PlannedJob, arguments: Sequence[str]) -> list[str]:
    """Words of the job's shell command behind `python`, without what the shell makes of it."""
    target = min(job.outputs)
    said = call_snakemake([target, "--dry-run", "--printshellcmds", "--quiet", "host", *arguments])
    lines = [line for line in (said.stdout + said.stderr).splitlines() if PROGRAM in line]
    lines = [line for line in lines if f"python {PROGRAM} " in line]
    if not lines:
        raise FoldwiseError(
            f"no job calls {PROGRAM}", where="snakemake --dry-run", hint="Read what it prints."
        )
    words = shlex.split(lines[0][lines[0].index(PROGRAM) :])
    ends = [at for at, word in enumerate(words) if word.startswith("2>") or word == "|"]
    return words[: ends[0]] if ends else words
