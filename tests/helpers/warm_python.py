"""Interpreters that start warm: forks of a process that has imported the libraries.

A job of a small study computes for milliseconds and imports torch, pandas and pymatgen for seconds.
`warm_python` makes an executable that behaves as the interpreter of the tests: called as
`python script.py …` or `python -m snakemake …` it runs in a fork of a server, where the libraries
(and nothing of Foldwise) are imported already; called otherwise it is the interpreter itself.
Signals, exit statuses, standard streams, folder and environment are the caller's, and what is
forked dies with the `python` that asked for it.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import importlib
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

LIBRARIES = (
    "torch", "torch._dynamo", "numpy", "pandas", "pyarrow.parquet", "pydantic", "jinja2",
    "jsonschema", "filelock",
    "pymatgen.core", "pymatgen.analysis.structure_matcher", "scipy.stats", "scipy.optimize",
    "sklearn.ensemble", "lightgbm", "matplotlib.figure", "safetensors.torch", "psutil", "yaml",
    "matbench.bench", "snakemake.cli", "snakemake.workflow", "snakemake.executors.local",
)  # fmt: skip
STREAMS = 3
READY = b"ready\n"
_SERVERS: list[subprocess.Popen[bytes]] = []  # open pipes, at whose end the servers end

SHIM = """#!{python} -ISE
import array, json, os, signal, socket, sys
arguments = sys.argv[1:]
warm = arguments and (arguments[0].endswith(".py") or arguments[:2] == ["-m", "snakemake"])
if not warm or "FOLDWISE_COLD" in os.environ:
    os.execv({python!r}, [{python!r}, *arguments])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([arguments, os.getcwd(), dict(os.environ), {own!r}]).encode()
server.sendmsg([len(asked).to_bytes(8, "big")],
               [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
server.sendall(asked)
answers = server.makefile("r")
process = int(answers.readline())
def forward(number, frame):
    os.kill(process, number)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, forward)
status = int(answers.readline() or 255)
if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pause()
os._exit(os.waitstatus_to_exitcode(status))
"""


@functools.cache
def warm_python() -> str:
    """The executable of this test process; its server ends with the process."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address, python = str(folder / "socket"), folder / "python"
    python.write_text(SHIM.format(python=sys.executable, address=address, own=str(python)))
    python.chmod(0o755)
    # A library that is allowed several threads may make them at once; a fork would miss them.
    alone = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **alone},
    )
    if server.stdout is None or server.stdout.readline() != READY:
        raise RuntimeError("the server of warm interpreters did not start")
    _SERVERS.append(server)
    return str(python)


def serve(address: str) -> None:
    """Fork for whoever asks, until standard input closes."""
    for library in LIBRARIES:
        importlib.import_module(library)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            asking, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                supervise(asking)
            asking.close()


def supervise(asking: socket.socket) -> None:
    """Fork the program, say its process id and exit status; kill it if the asking one is gone."""
    head, ancillary, *_ = asking.recvmsg(8, socket.CMSG_SPACE(STREAMS * array.array("i").itemsize))
    streams = array.array("i", ancillary[0][2])
    size, received = int.from_bytes(head, "big"), b""
    while len(received) < size:
        received += asking.recv(size - len(received))
    arguments, folder, environment, python = json.loads(received)
    program = os.fork()
    if program == 0:
        asking.close()
        run(arguments, folder, environment, python, streams)
    for stream in (*streams, *range(STREAMS)):
        os.close(stream)
    asking.sendall(f"{program}\n".encode())
    ended = os.pidfd_open(program)
    ready, _, _ = select.select([ended, asking], [], [])
    if ended not in ready:
        os.kill(program, signal.SIGKILL)
    _, status = os.waitpid(program, 0)
    with contextlib.suppress(OSError):
        asking.sendall(f"{status}\n".encode())
    os._exit(0)


def run(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    python: str,
    streams: array.array[int],
) -> None:
    """Become `python arguments…`; never returns."""
    status = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.executable = python
        random.seed()
        sys.modules["numpy"].random.seed()
        sys.modules["torch"].set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path[0] = folder
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            program = Path(arguments[0]).absolute()
            sys.path[0] = str(program.resolve().parent)
            runpy.run_path(str(program), run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - what an interpreter prints at its end
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        for written in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                written.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
