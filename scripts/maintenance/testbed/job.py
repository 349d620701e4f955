"""Every fault of the list on a real Slurm: same bytes, one complete record, and what it cost."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, write_csv
from maintenance.testbed.disk import own_disk
from maintenance.testbed.faults import FAULTS, Fault
from maintenance.testbed.machine import NODE_CORES, NODES, test_cluster
from maintenance.testbed.study import TestStudy, lines_of, new_study
from maintenance.testbed.throughput import throughput

OUT = REPOSITORY / "results" / "cluster_test"
SITE: dict[str, object] = {"cpu": {"partition": "cpu"}, "cores": 1}
_SEEN = (
    "error:",
    "Slurm job",
    "Slurm does not answer",
    "Slurm answers",
    "of a Snakemake that is gone",
    "locks of a Snakemake",
)

DRY_SEEDS, DRY_REPLICATES = 31, 8
"""Trainings and predictions of two folds, and what comes before and after: 1,000 jobs."""
GOOD = "same bytes, one complete record"
_ECHO = ("slurmstepd", "srun:")
"""Beginnings of what a job's log repeats of Slurm's own words."""


def run_cluster_test(
    names: Sequence[str], seed: int, epochs: int, say: Callable[[str], None]
) -> None:
    """Build the cluster, run the study without a fault and with each, and write the table.

    Writes `faults.csv` to `results/cluster_test`, fault by fault; rows of faults that are not
    injected this time stay.

    Args:
        names: Words of the faults to inject; none: all.
        seed: Decides the moments.
        epochs: Of each training; it must take longer than a minute to reach its time limit.
        say: Takes a line for the user.

    Raises:
        FoldwiseError: No cluster can be built here, or a fault has left other bytes or records.
    """
    chosen = [fault for fault in FAULTS if not names or any(name in fault.name for name in names)]
    if not chosen:
        raise FoldwiseError(
            f"no fault is called {', '.join(names)}",
            where="--faults",
            hint=f"Use words of: {'; '.join(fault.name for fault in FAULTS)}.",
        )
    folder = Path(tempfile.mkdtemp(prefix="foldwise-study-"))
    chance = random.Random(seed)  # noqa: S311  moments of faults, no secrets
    try:
        with test_cluster() as cluster:
            study = new_study(cluster, folder / "house", SITE, epochs=epochs)
            undisturbed = _without_fault(study, say)
            wrong = []
            for fault in chosen:
                row = _with_fault(study, fault, chance, undisturbed, say)
                _keep(row)
                if row["outcome"] != GOOD:
                    wrong.append(fault.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if wrong:
        raise FoldwiseError(
            f"other bytes or records after: {'; '.join(wrong)}",
            where=str(OUT / "faults.csv"),
            hint="Read the column outcome.",
        )


def _keep(row: dict[str, object]) -> None:
    """Put a row into the table, in the place of an older one of the same fault."""
    path = OUT / "faults.csv"
    rows = {str(row["fault"]): row}
    if path.exists():
        older = pd.read_csv(path).to_dict("records")
        rows = {str(each["fault"]): {str(key): each[key] for key in each} for each in older} | rows
    order = [fault.name for fault in FAULTS if fault.name in rows]
    write_csv(path, pd.DataFrame([rows[name] for name in order]))


def run_throughput(seeds: int, epochs: int, say: Callable[[str], None]) -> None:
    """Run a study of trainings alone, and write how much of its time nobody computes in.

    A dry run of a thousand jobs is measured before.

    Writes `throughput.csv` to `results/cluster_test`.

    Args:
        seeds: Trainings of each of two folds.
        epochs: Of each training.
        say: Takes a line for the user.

    Raises:
        FoldwiseError: No cluster can be built here, or the study fails.
    """
    folder = Path(tempfile.mkdtemp(prefix="foldwise-study-"))
    try:
        with test_cluster() as cluster:
            # As a user's own profile waits, not as the test's, which is to be over soon.
            study = new_study(cluster, folder / "house", SITE, seeds=range(seeds), epochs=epochs,
                              hasty=False)  # fmt: skip
            jobs, dry, dry_cpu = study.dry_run(DRY_SEEDS, DRY_REPLICATES)
            _must_succeed(study, "data", f"results/{study.run}/splits/demo_e_form/duplicates.json")
            shutil.rmtree(study.results / "benchmarks")
            started = time.monotonic()
            _must_succeed(study, "trainings")
            wall = time.monotonic() - started
            row = throughput(study.results / "benchmarks", NODE_CORES * len(NODES), wall)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    row |= {
        "jobs of a dry run": jobs,
        "its seconds": round(dry, 1),
        "its processor seconds": round(dry_cpu, 1),
    }
    write_csv(OUT / "throughput.csv", pd.DataFrame({"what": row.keys(), "measured": row.values()}))
    say(", ".join(f"{name}: {value}" for name, value in row.items()))


class _Undisturbed(NamedTuple):
    """A run without a fault: checksums of its files, seconds of its part after the data."""

    checksums: dict[str, str]
    seconds: float


def _without_fault(study: TestStudy, say: Callable[[str], None]) -> _Undisturbed:
    _must_succeed(study, "data")
    wanted = study.checksums()
    study.forget()
    started = time.monotonic()
    _must_succeed(study, "undisturbed")
    seconds = time.monotonic() - started
    if study.checksums() != wanted:
        raise FoldwiseError(
            "two runs without a fault give other bytes", where=str(study.root), hint="Compare them."
        )
    say(f"without a fault: {seconds:.0f} s, {len(wanted)} files to compare")
    return _Undisturbed(wanted, seconds)


def _must_succeed(study: TestStudy, name: str, target: str | None = None) -> None:
    call = study.begin(name=name, target=target)
    if call.wait():
        raise FoldwiseError(
            "the study fails without a fault",
            where=str(call.log),
            hint=" / ".join(call.said().strip().splitlines()[-5:]),
        )


def _with_fault(
    study: TestStudy,
    fault: Fault,
    chance: random.Random,
    undisturbed: _Undisturbed,
    say: Callable[[str], None],
) -> dict[str, object]:
    study.forget()
    with own_disk(study.results) if fault.own_disk else contextlib.nullcontext():
        row = _met(study, fault, chance, undisturbed)
        study.cluster.heal()
        study.cluster.cancel_all()
        study.end_strays()
    say(
        f"{fault.name}: {row['outcome']}, {row['seconds lost']} s lost; {row['what the user sees']}"
    )
    return row


def _met(
    study: TestStudy, fault: Fault, chance: random.Random, undisturbed: _Undisturbed
) -> dict[str, object]:
    """Run the study with a fault; the row of the table."""
    name = fault.name.replace(" ", "_")
    started, begun = time.monotonic(), time.time()
    call = study.begin(*fault.options, name=name)
    problem = None
    try:
        fault.inject(study, call, chance)
        if fault.calls_again:
            call = study.begin(*fault.options, name=name)
        code = call.wait()
        problem = f"exit code {code}" if code else None
    except (FoldwiseError, subprocess.SubprocessError) as error:
        call.kill()
        problem = str(error)
    seconds = time.monotonic() - started
    said = call.said()
    endings, named = study.endings(), study.named(begun)
    # What is to be seen, and what the registry is to call it; a drained node shows nothing.
    happened = fault.shows in said and (not fault.kind or fault.kind in named)
    if problem is None and not happened:
        problem = "the fault has not happened"
    words = (*_SEEN, fault.shows) if fault.shows else _SEEN
    seen = [line for line in lines_of(said, words) if not line.startswith(_ECHO)]
    outcome = _outcome(problem, study.checksums(), undisturbed.checksums, endings)
    if outcome != GOOD:
        OUT.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(call.log, OUT / f"{name}.txt")
    return {
        "fault": fault.name,
        "what the user sees": " / ".join(seen[:3]) or "nothing",
        "ends of jobs": ", ".join(named) or "none",
        "ends of runs": ", ".join(endings),
        "seconds lost": round(seconds - undisturbed.seconds),
        "outcome": outcome,
    }


def _outcome(
    problem: str | None,
    found: dict[str, str],
    wanted: dict[str, str],
    endings: Sequence[str],
) -> str:
    problems = [problem] if problem else []
    differing = [path for path in wanted if found.get(path) != wanted[path]]
    if differing:
        problems.append(f"{len(differing)} file(s) differ, the first is {differing[0]}")
    if endings.count("complete") != 1:
        problems.append(f"records: {', '.join(endings) or 'none'}")
    return "; ".join(problems) or GOOD
