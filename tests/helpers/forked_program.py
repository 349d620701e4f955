"""Programs run in forks of a process that has imported torch, which takes seconds by itself."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from multiprocessing import forkserver
from pathlib import Path

PRELOADED = ["foldwise.training.job", "foldwise.prediction.job"]


class ForkedPrograms:
    """The programs of one house; the fork server is that of the test process."""

    def __init__(self, house):
        self.house = house
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        before = dict(os.environ)
        os.environ.update(house.environment, PYTHONPATH=str(house.root / "scripts"))
        try:
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def __call__(self, name, *arguments):
        """Run `python scripts/name arguments…` in the house's folder, to its end."""
        command = [str(self.house.root / "scripts" / name), *map(str, arguments)]
        with tempfile.TemporaryDirectory() as folder:
            said = (Path(folder) / "stdout", Path(folder) / "stderr")
            process = self._context.Process(target=_run, args=(self.house.root, said, command))
            process.start()
            process.join()
            texts = [path.read_text() for path in said]
        return subprocess.CompletedProcess(command, process.exitcode, *texts)


def _run(root, said, command):
    os.chdir(root)
    for stream, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")
