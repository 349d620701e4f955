import os
import subprocess
import sys
from pathlib import Path

import pytest

from foldwise.common.errors import FoldwiseError, run_program
from paths import REPOSITORY


def test_the_line_says_where_what_and_what_to_do():
    error = FoldwiseError("3 targets\n are  NaN", where="a.csv", hint="Remove\tthem.")
    assert str(error) == "a.csv: 3 targets are NaN. Remove them."
    assert (error.where, error.hint) == ("a.csv", "Remove\tthem.")


def test_a_mistake_ends_with_code_2_and_one_line(capsys):
    def main():
        raise FoldwiseError("no such key", where="x", hint="Add it.")

    with pytest.raises(SystemExit) as caught:
        run_program(main)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "error: x: no such key. Add it.\n")


def test_success_ends_with_code_0(capsys):
    with pytest.raises(SystemExit) as caught:
        run_program(lambda: None)
    assert caught.value.code == 0
    assert capsys.readouterr() == ("", "")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_program(lambda: print(1 / 0))


def said_to_a_closed_pipe(body):
    """Exit code and stderr of a program whose reader has gone before it says anything."""
    program = (
        f"from foldwise.common.errors import run_program\nimport os\n{body}\nrun_program(main)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY / "scripts", stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read().decode()
    return process.returncode, said


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_ends_a_program_quietly(lines):
    body = f"def main():\n    os.read(0, 1)\n    print('a line\\n' * {lines})"
    assert said_to_a_closed_pipe(body) == (141, "")


def test_another_broken_pipe_is_a_bug(capfd):
    def main():
        reading, writing = os.pipe()
        os.close(reading)
        os.write(writing, b"x")

    with pytest.raises(BrokenPipeError):
        run_program(main)


def test_a_full_disk_is_one_line_and_no_traceback():
    """/dev/full refuses every byte as a full disk does."""
    program = (
        "from foldwise.common.errors import run_program\n"
        "def main():\n    open('/dev/full', 'w', buffering=1).write('a line\\n')\n"
        "run_program(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: disk: No space left on device. Make room, then call again."
    )


def test_a_full_disk_that_holds_the_log_too_is_told_on_stdout():
    program = (
        "from foldwise.common.errors import run_program\n"
        "def main():\n    open('/dev/full', 'w', buffering=1).write('a line\\n')\n"
        "run_program(main)"
    )
    with Path("/dev/full").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY / "scripts", stdout=subprocess.PIPE, stderr=log, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == "error: disk: No space left on device. Make room, then call again.\n"
