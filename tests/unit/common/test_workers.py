"""Workers end with their parent, also where it has no time to tell them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from foldwise.common.workers import worker_pool
from paths import REPOSITORY

# Its workers have answered and wait for more when it is killed.
PROGRAM = """
import os, signal
from foldwise.common.workers import worker_pool
if __name__ == "__main__":
    pool = worker_pool(2, {method!r})
    list(pool.map(abs, range(8)))
    print(*pool._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_end_after_their_parent_was_killed(method, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(method=method))
    library = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}
    said = tmp_path / "said.txt"  # a pipe would be open as long as a worker lives
    with said.open("w") as stream:
        subprocess.run([sys.executable, script], stdout=stream, env=library, check=False)
    numbers = [int(word) for word in said.read_text().split()]
    assert len(numbers) == 2
    workers = []
    for number in numbers:
        try:
            workers.append(psutil.Process(number))
        except psutil.NoSuchProcess:
            continue
    left = psutil.wait_procs(workers, timeout=15)[1]
    for worker in left:
        worker.kill()
    assert not left


_given = []


def _keep(*arguments):
    _given.extend(arguments)


def _kept(_task):
    return list(_given)


def test_workers_begin_with_what_they_were_given():
    with worker_pool(1, "fork", _keep, (1, "two")) as pool:
        assert list(pool.map(_kept, [0])) == [[1, "two"]]


def test_every_pool_of_the_library_is_one_of_these():
    library = REPOSITORY / "scripts"
    makers = [
        str(path.relative_to(library))
        for path in sorted(Path(library).rglob("*.py"))
        if re.search(r"ProcessPoolExecutor|multiprocessing", path.read_text(encoding="utf-8"))
    ]
    assert makers == ["foldwise/common/workers.py"]
