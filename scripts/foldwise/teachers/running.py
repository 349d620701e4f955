"""Run a program in its folder: within its time, its output bounded, nothing of it left behind.

Every process of a program carries a mark in its environment, so that one that has left its session
is found too. A guard process waits for the end of the runner, however it ends, and then ends what
is left; the next call of the same job does so before it starts.

This module imports nothing beyond Python itself: it runs in the program's own environment.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

JOB = "job.json"
WORK = "work"
LEFT = ("predictions.parquet", "predictions.csv", "history.csv", "fit.json")
"""What is kept of the folder."""
LOG_BYTES = 64 * 2**20
"""A program that prints more is ended: its log would fill the disk."""
_TOO_MUCH = "it printed more than {} MiB"
GRACE_SECONDS = 5.0
_MARK = "FOLDWISE_PROGRAM_FOLDER"
_TAIL = 400  # characters of a last line in a reason
_VERSIONS = (
    "import json, importlib.metadata as m;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def run_program(
    job: Path,
    words: Sequence[str],
    out: Path,
    *,
    log: Path,
    threads: int,
    gpu: bool,
    minutes: float,
    python: Path | None = None,
) -> dict[str, Any]:
    """Unpack a job, run the program in it, and keep what it left.

    Args:
        job: Archive of the job's folder.
        words: The command; words that are files are made absolute.
        out: Folder for what it leaves (`LEFT`), made anew. Beside it, `WORK` is the folder in which
            the program runs; it stays until the answers have been checked and found good.
        log: File of what the program prints.
        threads: CPU threads that it may use.
        gpu: Whether it may use a GPU where there is one.
        minutes: Its time.
        python: Interpreter whose folder is first in its PATH; by default the running one.

    Returns:
        Content of `outcome.json`: `failed` (a reason, or `None`), seconds, memory, packages.
    """
    work = out.with_name(WORK).resolve()
    end_processes_of(work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with zipfile.ZipFile(job) as archive:
        archive.extractall(work)
    device = "cuda" if gpu and _has_gpu() else "cpu"
    facts = json.loads((work / JOB).read_text(encoding="utf-8"))
    facts |= {"threads": threads, "device": device, "time_budget_seconds": 60 * minutes}
    (work / JOB).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    environment = _environment(threads, device, python)
    packages = _packages(environment)
    started = time.monotonic()
    failed = _run(_absolute(words), work, environment, log, started + 60 * minutes)
    seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out, ignore_errors=True)  # a program may have written there, or an earlier call
    out.mkdir(parents=True)
    for name in LEFT if failed is None else ():
        if (work / name).is_file():
            shutil.copyfile(work / name, out / name)
    if failed is not None:
        failed = failed.replace("{minutes}", f"{minutes:g}")
    return {
        "failed": failed,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_bytes": used.ru_maxrss * 1024,
        "threads": threads,
        "device": device,
        "packages": packages,
    }


def _absolute(words: Sequence[str]) -> list[str]:
    """The program runs in another folder than the one from which its files are named."""
    return [str(Path(word).resolve()) if Path(word).is_file() else word for word in words]


def _has_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and Path("/proc/driver/nvidia/version").exists()


def _environment(threads: int, device: str, python: Path | None) -> dict[str, str]:
    """The caller's environment, threads bounded, the chosen interpreter first in PATH."""
    # Not resolved: the interpreter of a virtual environment is a link out of it.
    folder = (python or Path(sys.executable)).absolute().parent
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    own = dict.fromkeys(names, str(threads))
    own["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    if device == "cpu":
        own["CUDA_VISIBLE_DEVICES"] = ""
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {key: value for key, value in os.environ.items() if key not in dropped} | own


def _packages(environment: Mapping[str, str]) -> dict[str, str]:
    """Versions in the interpreter that the program's command will find; empty without one."""
    try:
        done = subprocess.run(
            ["python", "-c", _VERSIONS], env=environment, capture_output=True, check=True, text=True
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return {}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _run(
    words: list[str], work: Path, environment: Mapping[str, str], log: Path, deadline: float
) -> str | None:
    """Run to the end; a reason where the program did not come to a good one."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        process = subprocess.Popen(
            words,
            cwd=work,
            env={**environment, _MARK: str(work)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"it cannot be started ({error.strerror}: {words[0]})"
    with log.open("wb") as file, _ended_with_us(process, work):
        assert process.stdout is not None
        printed = _Printed(process.stdout, file)
        printed.start()
        reason = _wait(process, printed, deadline)
        _end(process, work)
        printed.join(GRACE_SECONDS)
    if reason is None and printed.too_much.is_set():  # it ended before this was looked at
        reason = _TOO_MUCH.format(LOG_BYTES // 2**20)
    if reason is not None:
        return reason
    code = process.returncode
    if code < 0:
        return f"it was ended by signal {-code} ({signal.Signals(-code).name})"
    if code:
        last = printed.last_line()
        return f"it ended with exit code {code}" + (f"; it last said: {last}" if last else "")
    return None


def _wait(process: subprocess.Popen[bytes], printed: _Printed, deadline: float) -> str | None:
    while True:
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            if printed.too_much.is_set():
                return _TOO_MUCH.format(LOG_BYTES // 2**20)
            if time.monotonic() > deadline:
                return "it was still running after its time of {minutes} minutes"
            continue
        return None


class _Printed(threading.Thread):
    """Carries what a program prints to its log, up to `LOG_BYTES`."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.too_much = threading.Event()
        self._source, self._target, self._end = source, target, b""

    def run(self) -> None:
        written = 0
        while chunk := os.read(self._source.fileno(), 2**16):
            if written + len(chunk) > LOG_BYTES:
                self.too_much.set()
                return
            written += len(chunk)
            self._target.write(chunk)
            self._target.flush()
            self._end = (self._end + chunk)[-4096:]

    def last_line(self) -> str:
        """The last line that is not blank, on one line and not too long."""
        lines = self._end.decode("utf-8", "replace").split("\n")
        words = [line for line in lines if line.strip()]
        return "" if not words else " ".join(words[-1].split())[:_TAIL]


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes], work: Path) -> Iterator[None]:
    """A program in a session of its own would outlive the job, also one that is killed."""

    def end(number: int, _frame: FrameType | None) -> None:
        _end(process, work)
        sys.exit(128 + number)

    guard = [sys.executable, __file__, str(work)]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True):
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {each: signal.signal(each, end) for each in signals}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _end(process: subprocess.Popen[bytes], work: Path) -> None:
    """End whatever is left of the program."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end_processes_of(work)


def end_processes_of(work: Path) -> None:
    """End every process of the program that was started in this folder: kindly, then for good.

    Args:
        work: The folder, resolved. Without `/proc` nothing is found.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        while (found := _processes_of(work)) and time.monotonic() < deadline:
            for process in found:
                with suppress(OSError):
                    os.kill(process, number)
            time.sleep(0.1)


def _processes_of(work: Path) -> list[int]:
    mark, found = f"{_MARK}={work}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


if __name__ == "__main__":  # the guard: its standard input ends with the runner
    sys.stdin.buffer.read()
    end_processes_of(Path(sys.argv[1]))
