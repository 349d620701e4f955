"""Programs of a few lines through the real runner: good ones, and each way of being bad."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.teachers import running
from foldwise.teachers.outcomes import forget_failures
from paths import REPOSITORY

GOOD = """
import pandas as pd
rows = pd.read_csv("rows.csv")
mean = rows.loc[rows["part"] == "fit", "target"].mean()
asked = rows.loc[rows["part"] != "fit", ["id"]].assign(prediction=mean)
"""
BAD = {
    "dies": ("print('no luck'); raise SystemExit(3)",
             "it ended with exit code 3; it last said: no luck"),
    "is_killed": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
                  "it was ended by signal 11 (SIGSEGV)"),
    "nan": (f"{GOOD}\nasked.loc[asked.index[-1], 'prediction'] = float('nan')\n"
            "asked.to_parquet('predictions.parquet')",
            "1 of its answers are not finite, that for 'tiny-019' first"),
    "forgets": (f"{GOOD}\nasked.iloc[:-1].to_parquet('predictions.parquet')",
                "it answers 7 of 8 rows and forgets 'tiny-019'"),
    "twice": (f"{GOOD}\npd.concat([asked, asked.iloc[:1]]).to_parquet('predictions.parquet')",
              "it answers 'tiny-012' twice"),
    "unasked": (f"{GOOD}\nasked.loc[99] = ['tiny-000', 0.0]\n"
                "asked.to_parquet('predictions.parquet')",
                "it answers 'tiny-000', which nobody asked about"),
    "far": (f"{GOOD}\nasked['prediction'] *= -1e6\nasked.to_parquet('predictions.parquet')",
            "8 of its answers are far outside of the training targets'"),
    "elsewhere": (f"{GOOD}\nimport tempfile\n"
                  "asked.to_parquet(tempfile.mkdtemp() + '/predictions.parquet')",
                  "it left no predictions.parquet or predictions.csv in its folder"),
    "beside": (f"{GOOD}\nimport os\nos.makedirs('../left', exist_ok=True)\n"
               "asked.to_parquet('../left/predictions.parquet')",
               "it left no predictions.parquet or predictions.csv in its folder"),
    "infinite": (f"{GOOD}\nasked.loc[asked.index[0], 'prediction'] = float('inf')\n"
                 "asked.to_parquet('predictions.parquet')",
                 "1 of its answers are not finite, that for 'tiny-012' first"),
    "other_column": (f"{GOOD}\nasked.rename(columns={{'prediction': 'y'}})"
                     ".to_parquet('predictions.parquet')",
                     "its predictions have no column 'prediction'"),
    "no_table": ("open('predictions.parquet', 'w').write('hello')",
                 "its predictions.parquet cannot be read"),
    "foreign_metadata": ("import pyarrow as pa, pyarrow.parquet as pq\n"
                         "table = pa.table({'id': ['a']})\n"
                         "table = table.replace_schema_metadata({b'pandas': b'[]'})\n"
                         "pq.write_table(table, 'predictions.parquet')",
                         "its predictions.parquet cannot be read"),
    "bad_history": (f"{GOOD}\nasked.to_parquet('predictions.parquet')\n"
                    "open('history.csv', 'w').write('step\\n1\\n')",
                    "its history.csv is no table of numbers with epoch, train_mae, val_mae"),
    "nan_fit": (f"{GOOD}\nasked.to_parquet('predictions.parquet')\n"
                "open('fit.json', 'w').write('{\"loss\": NaN}')",
                "its fit.json holds NaN or an infinity"),
    "bad_fit": (f"{GOOD}\nasked.to_parquet('predictions.parquet')\n"
                "open('fit.json', 'w').write('[1]')",
                "its fit.json is no JSON object"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_versions(monkeypatch):
    """Packages are listed in one test; in the others they would double the time."""
    monkeypatch.setattr(running, "_VERSIONS", "print('{}')")


def write(place, text):
    place.mkdir(parents=True, exist_ok=True)
    program = place / "program.py"
    program.write_text(text)
    return program


def test_a_good_program_leaves_the_files_of_a_model(fold, tmp_path):
    more = (
        "asked.to_parquet('predictions.parquet')\n"
        "pd.DataFrame({'epoch': [1, 2], 'train_mae': [2.0, 1.0], 'val_mae': [2.5, 2.0]})"
        ".to_csv('history.csv', index=False)\nopen('fit.json', 'w').write('{\"trees\": 7}')\n"
    )
    assert fold.run(write(tmp_path, GOOD + more), tmp_path)["failed"] is None
    assert fold.collect(tmp_path) is None
    fit = read_json(tmp_path / "fit.json")
    assert (fit["kind"], fit["n_train"], fit["n_validation"]) == ("program", 12, 4)
    assert fit["said"] == {"trees": 7}
    mean = sum(fold.target[:12]) / 12
    assert fit["val_mae_at_best"] == pytest.approx(
        sum(abs(mean - value) for value in fold.target[12:16]) / 4
    )
    test = pd.read_parquet(tmp_path / "test.parquet")
    assert test["id"].tolist() == fold.test
    held = pd.read_parquet(tmp_path / "train.parquet")
    assert held["id"].tolist() == fold.held
    assert held["held_out"].all()
    assert pd.read_csv(tmp_path / "history.csv")["val_mae"].tolist() == [2.5, 2.0]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_program_ends_with_its_reason(fold, tmp_path, name):
    text, reason = BAD[name]
    fold.run(write(tmp_path, text), tmp_path)
    check_that_it_is_out(fold, tmp_path, reason)


@pytest.mark.parametrize("name", ["dies", "nan"])
def test_a_failure_is_forgotten_where_it_ended_the_call(fold, tmp_path, name):
    """Good outcomes stay, and those of recipes without which the study goes on."""
    places = [
        tmp_path / recipe / "task" / "fold_0" / "seed_0" for recipe in ("mine", "good", "goes_on")
    ]
    good = f"{GOOD}\nasked.to_parquet('predictions.parquet')"
    for place, text in zip(places, (BAD[name][0], good, BAD[name][0]), strict=True):
        fold.run(write(place, text), place)
    with pytest.raises(FoldwiseError):
        fold.collect(places[0])
    assert fold.collect(places[1]) is None
    before = (places[2] / "outcome.json").read_bytes()
    assert fold.collect(places[2], goes_on=True) is not None
    assert (places[2] / "outcome.json").read_bytes() == before
    assert (places[2] / "work").is_dir()
    gone = places[0] / "outcome.json"
    assert forget_failures(tmp_path, ["mine", "good", "absent"]) == [gone]
    assert not gone.exists()
    assert (places[1] / "outcome.json").is_file()


def check_that_it_is_out(fold, place, reason):
    """One line ends the call; where the study goes on, the record has it and there is no answer."""
    with pytest.raises(FoldwiseError) as caught:
        fold.collect(place)
    line = str(caught.value)
    assert line.startswith(f"recipes.mine, fold 0, seed 0: {reason}")
    assert "\n" not in line
    assert f"Its log is {place / 'program.log'}, its folder {place / 'work'};" in line
    assert (place / "work" / "rows.csv").is_file()
    assert read_json(place / "outcome.json")["failed"].startswith(reason)
    assert not (place / "fit.json").exists()
    assert str(fold.collect(place, goes_on=True)).startswith(reason)
    assert read_json(place / "fit.json")["failed"].startswith(reason)
    assert pd.read_parquet(place / "test.parquet").empty


def test_a_program_that_hangs_is_ended_with_all_that_it_started(fold, tmp_path):
    text = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    )
    started = time.monotonic()
    fold.run(write(tmp_path, text), tmp_path, minutes=0.03)
    assert time.monotonic() - started < 60
    check_that_it_is_out(fold, tmp_path, "it was still running after its time of 0.03 minutes")
    child = int((tmp_path / "work" / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


def test_a_program_that_will_not_end_is_ended_for_good(fold, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.3)
    text = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('own', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    fold.run(write(tmp_path, text), tmp_path, minutes=0.03)
    check_that_it_is_out(fold, tmp_path, "it was still running after its time of 0.03 minutes")
    assert not psutil.pid_exists(int((tmp_path / "work" / "own").read_text()))


def test_a_program_that_prints_without_end_is_ended_and_its_log_bounded(
    fold, tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "LOG_BYTES", 2**20)
    text = "while True:\n    print('x' * 10_000)\n"
    fold.run(write(tmp_path, text), tmp_path)
    check_that_it_is_out(fold, tmp_path, "it printed more than 1 MiB")
    assert 0 < (tmp_path / "program.log").stat().st_size <= 2**20


def test_a_program_that_has_ended_has_printed_too_much_all_the_same(fold, tmp_path, monkeypatch):
    """What is over the limit fits the pipe, so that nothing keeps it from ending well."""
    monkeypatch.setattr(running, "LOG_BYTES", 2**12)
    text = f"{GOOD}\nasked.to_parquet('predictions.parquet')\nprint('x' * 5_000)\n"
    fold.run(write(tmp_path, text), tmp_path)
    check_that_it_is_out(fold, tmp_path, "it printed more than 0 MiB")


def test_a_command_that_does_not_exist_is_named(fold, tmp_path):
    outcome = running.run_program(
        fold.write_job(), ["no_such_program"], tmp_path / "left", log=tmp_path / "program.log",
        threads=1, gpu=False, minutes=1,
    )  # fmt: skip
    assert outcome["failed"] == "it cannot be started (No such file or directory: no_such_program)"


def test_packages_and_threads_are_those_of_the_program(fold, tmp_path, monkeypatch):
    monkeypatch.undo()
    text = f"""{GOOD}
import json, os
asked.to_csv("predictions.csv", index=False)
said = {{"omp": os.environ["OMP_NUM_THREADS"], "job": json.load(open("job.json"))["threads"]}}
open("fit.json", "w").write(json.dumps(said))
"""
    outcome = fold.run(write(tmp_path, text), tmp_path)
    assert outcome["packages"]["pandas"] == pd.__version__
    assert fold.collect(tmp_path) is None
    assert read_json(tmp_path / "fit.json")["said"] == {"omp": "1", "job": 1}


def test_an_interpreter_named_from_the_repository_is_found_from_the_program_s_folder(
    fold, tmp_path, monkeypatch
):
    """Rules name the environment that they made by a relative path."""
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    wrapper = folder / "python"
    wrapper.write_text(f'#!/bin/sh\nMADE=here exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    program = write(tmp_path, "import os; open('fit.json', 'w').write(os.environ['MADE'])")
    outcome = fold.run(program, tmp_path, python=Path("venv/bin/python"))
    assert outcome["failed"] is None, (tmp_path / "program.log").read_text()
    assert (tmp_path / "left" / "fit.json").read_text() == "here"


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.02)
"""


def gone_within(process, seconds):
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(process)


def test_a_daemon_ends_with_its_job(fold, tmp_path):
    fold.run(write(tmp_path, DAEMON), tmp_path, words=[str(tmp_path / "pid")])
    assert gone_within(int((tmp_path / "pid").read_text()), 15)


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGHUP])
def test_nothing_outlives_a_runner_that_is_ended(fold, tmp_path, ended_by):
    program = write(tmp_path, f"{DAEMON}\ntime.sleep(600)")
    command = f"{sys.executable} {program} {tmp_path / 'pid'}"
    runner = subprocess.Popen(
        [
            sys.executable, REPOSITORY / "scripts/jobs/run_teacher.py", "--job", fold.write_job(),
            "--command", command, "--minutes", "10", "--log", tmp_path / "program.log",
            "--out", tmp_path / "left", "--out-json", tmp_path / "outcome.json",
        ]
    )  # fmt: skip
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    own = [each.pid for each in psutil.Process(runner.pid).children(recursive=True)]
    runner.send_signal(ended_by)
    runner.wait(30)
    assert all(gone_within(each, 30) for each in [int((tmp_path / "pid").read_text()), *own])


def test_a_call_ends_what_an_earlier_one_left(fold, tmp_path):
    """As after the end of the guard too: the processes of the same folder are found."""
    work = (tmp_path / "work").resolve()
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, running._MARK: str(work)})
    text = f"{GOOD}\nasked.to_parquet('predictions.parquet')"
    assert fold.run(write(tmp_path, text), tmp_path)["failed"] is None
    assert left.wait(5) == -signal.SIGTERM


ALONE = """
import csv
rows = list(csv.DictReader(open("rows.csv")))
asked = [row["id"] for row in rows if row["part"] != "fit"]
open("predictions.csv", "w").write("id,prediction\\n" + "".join(f"{name},0.5\\n" for name in asked))
"""


def test_ids_that_look_like_numbers_are_read_as_they_are_written(numbered, tmp_path):
    assert numbered.run(write(tmp_path, ALONE), tmp_path)["failed"] is None
    assert numbered.collect(tmp_path) is None
    assert pd.read_parquet(tmp_path / "test.parquet")["id"].tolist()[-2:] == ["007", "1001"]


@pytest.mark.slow  # buys: what ships and is copied from finds rows whose ids look like numbers
@pytest.mark.parametrize(
    ("name", "job"),
    [("template_pymatgen", {}), ("template_ase", {"cif": True}), ("boosting", {})],
)
def test_what_ships_answers_ids_that_look_like_numbers(numbered, tmp_path, name, job):
    program = REPOSITORY / "teachers" / f"{name}.py"
    outcome = numbered.run(program, tmp_path, options={"trees": 5}, **job)
    assert outcome["failed"] is None, (tmp_path / "program.log").read_text()
    assert numbered.collect(tmp_path) is None
    assert pd.read_parquet(tmp_path / "test.parquet")["id"].tolist() == numbered.test


@pytest.mark.slow  # buys: the page's templates, run as a user would
@pytest.mark.parametrize(
    ("name", "job"),
    [("template_pymatgen", {"options": {"trees": 5}}), ("template_ase", {"cif": True})],
)
def test_the_templates_run_as_they_are_printed(fold, tmp_path, name, job):
    program = REPOSITORY / "teachers" / f"{name}.py"
    assert fold.run(program, tmp_path, **job)["failed"] is None, (
        tmp_path / "program.log"
    ).read_text()
    assert fold.collect(tmp_path) is None
    answers = pd.read_parquet(tmp_path / "test.parquet")["prediction"]
    assert answers.std() > 0
    text = program.read_text()
    assert text in (REPOSITORY / "docs" / "teachers.md").read_text()
    body = text.split('"""', 2)[2]
    assert sum(bool(line.strip()) for line in body.splitlines()) <= 40
