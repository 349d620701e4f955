"""What Snakemake tells the registry: by stand-ins for the programs, and by the small study."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
import yaml

from small_study import CONFIG, TASK, build_house

ENDINGS = ("exception", "exit_code", "killed", "memory", "mistake", "nothing", "hang")
# Stands in for every program: it makes the files that the rules expect, and train_model.py ends in
# the way that its recipe is called.
STAND_IN = """
import argparse, os, resource, signal, sys, time
from pathlib import Path
parser = argparse.ArgumentParser(allow_abbrev=False)
for name in ("out", "out-json", "out-csv", "recipe-name"):
    parser.add_argument("--" + name)
options = parser.parse_known_args()[0]
program = Path(sys.argv[0]).stem
made = {"prepare_dataset": ["targets.parquet", "structures.npz", "failures.csv", "card.json"],
        "build_graphs": ["meta.json"], "train_model": []}
if program == "train_model":
    print("step 1/8 of", options.recipe_name, file=sys.stderr, flush=True)
    if options.recipe_name == "exception":
        raise ZeroDivisionError("the loss has no gradient")
    if options.recipe_name == "exit_code":
        sys.exit(7)
    if options.recipe_name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if options.recipe_name == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
        bytearray(2**30)
    if options.recipe_name == "mistake":
        print("error: fold_0.json: no row to fit. Make graphs and splits again.", file=sys.stderr)
        sys.exit(2)
    if options.recipe_name == "hang":
        time.sleep(60)
for name in made.get(program, [""]):
    for out in filter(None, (options.out, options.out_json, options.out_csv)):
        path = Path(out) / name if name else Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made up")
"""
PROGRAMS = ("prepare_dataset", "build_graphs", "make_splits", "report_duplicates", "train_model")


def stand_in_house(root):
    """A house whose programs are stand-ins; one experiment for each way in which a job can end."""
    house = build_house(root)
    for program in PROGRAMS:
        (house.root / "scripts/jobs" / f"{program}.py").write_text(STAND_IN)
    base = yaml.safe_load((house.root / "config" / "config.yaml").read_text())
    house.write_config(
        "endings.json",
        run="endings",
        **{key: dict.fromkeys(base[key]) for key in ("decisions", "series") if key in base},
        recipes=dict.fromkeys(base["recipes"])
        | dict.fromkeys(ENDINGS, CONFIG["recipes"]["baseline"]),
        experiments=dict.fromkeys(base["experiments"])
        | {
            f"e_{name}": {"recipe": name, "seeds": [0], "title": name, "purpose": "To fail."}
            for name in ENDINGS
        },
    )
    return house


def runs(house, *arguments, study="endings"):
    return house.program("runs.py", "--results", f"results/{study}", *arguments)


def entries(house, study="endings"):
    content = json.loads((house.root / "results" / study / "registry.json").read_text())
    return {entry["experiment"]: entry for entry in content["runs"].values()}


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def endings(tmp_path_factory):
    return stand_in_house(tmp_path_factory.mktemp("endings") / "house")


@pytest.fixture(scope="module")
def failed(endings):
    targets = [f"results/endings/e_{name}/results.json" for name in ENDINGS if name != "hang"]
    done = endings.snakemake("--keep-going", "--latency-wait", 1, *targets, config="endings.json")
    assert done.returncode == 1, done.stderr
    return done, entries(endings)


@pytest.mark.parametrize(
    ("ending", "kind", "reason", "status"),
    [
        ("exception", "exception", "train_model: ZeroDivisionError: the loss has no gradient", 1),
        ("exit_code", "exit_code", "train_model: exit code 7: step 1/8 of exit_code", 7),
        ("killed", "killed", "train_model: killed by SIGKILL", 137),
        ("memory", "out_of_memory", "train_model: out of memory: MemoryError", 1),
        ("mistake", "error", "train_model: fold_0.json: no row to fit.", 2),
        ("nothing", "missing_output", "train_model: ended without an error, but did not write", 0),
    ],
)
def test_a_failed_job_is_recorded_with_its_true_reason(failed, ending, kind, reason, status):
    done, recorded = failed
    entry = recorded[f"e_{ending}"]
    failure = entry["failure"]
    assert entry["status"] == "failed"
    assert (failure["kind"], failure["exit_status"]) == (kind, status)
    assert failure["reason"].startswith(reason)
    assert f"step 1/8 of {ending}" in failure["log_tail"]
    assert failure["host"] == os.uname().nodename
    assert f"models/{ending}/" in failure["log"]
    assert reason in done.stderr


def test_a_quiet_snakemake_hides_the_exit_status_and_not_the_failure(failed, endings):
    target = "results/endings/e_exception/results.json"
    endings.snakemake(target, "--quiet", "all", config="endings.json")
    failure = entries(endings)["e_exception"]["failure"]
    assert failure["reason"] == "train_model: ZeroDivisionError: the loss has no gradient"
    endings.snakemake(
        target.replace("exception", "killed"), "--quiet", "all", config="endings.json"
    )
    failure = entries(endings)["e_killed"]["failure"]
    assert failure["kind"] == "unknown"
    assert failure["reason"].endswith("its log ends with: step 1/8 of killed")


# In the background of a script SIGINT is ignored, and children inherit that; a terminal's is not.
IN_FOREGROUND = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


def hanging(house):
    """Snakemake in a process group of its own, its training begun."""
    log = house.root / f"results/endings/models/hang/{TASK}/fold_0/seed_0/training.log"
    log.unlink(missing_ok=True)
    call = subprocess.Popen(
        [sys.executable, "-c", IN_FOREGROUND,
         "snakemake", "--cores", "2", "--workflow-profile", "profiles/cpu",
         "results/endings/e_hang/results.json", "--configfile", "endings.json"],
        cwd=house.root, env=house.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: log.exists() and "step 1" in log.read_text())
    return call


def test_a_killed_snakemake_is_reaped_by_the_next_call(endings):
    call = hanging(endings)
    assert entries(endings)["e_hang"]["status"] == "running"
    os.killpg(call.pid, signal.SIGKILL)
    call.wait()
    shown = runs(endings, "list", "--status", "failed")
    assert shown.returncode == 0, shown.stderr
    failure = entries(endings)["e_hang"]["failure"]
    assert failure["kind"] == "vanished"
    assert f"(process {call.pid}) ended without a word" in failure["reason"]
    assert failure["reason"].endswith("while train_model ran")
    assert "step 1/8 of hang" in failure["log_tail"]
    assert failure["reason"] in shown.stdout
    assert runs(endings, "reap").stdout == "no run has ended without a word\n"


def test_a_killed_call_does_not_lock_the_next_one_and_a_living_one_does(endings):
    # The call before it was killed, and left its locks.
    assert list((endings.root / ".snakemake" / "locks").iterdir())
    call = hanging(endings)
    second = endings.snakemake("results/endings/e_hang/results.json", config="endings.json")
    assert second.returncode == 1
    assert "LockException" in second.stderr
    assert f"locked, perhaps by process {call.pid} (" in second.stderr
    assert call.poll() is None
    os.killpg(call.pid, signal.SIGINT)
    call.wait(timeout=60)
    entry = entries(endings)["e_hang"]
    assert (entry["status"], entry["failure"]["kind"]) == ("stopped", "interrupted")
    assert entry["attempts"] == 2


def test_the_study_is_in_the_registry_with_metrics_and_decisions(study):
    recorded = entries(study, "tiny")
    assert set(recorded) == {"e0", "e3", "e4"}
    for name, entry in recorded.items():
        record = json.loads((study.results / name / "results.json").read_text())
        assert entry["status"] == "complete"
        assert entry["metrics"]["mae_mean"] == record["metrics"]["aggregate"]["mae_mean"]
        assert entry["dataset_sha256"] == record["provenance"]["dataset_sha256"]
        held_back = record["decision"]["review"] is not None
        allowed = ("needs review",) if held_back else ("keep", "discard")
        assert entry["decision"]["verdict"] in allowed
    assert sum(entry["is_best"] for entry in recorded.values()) == 1
    board = (study.results / "leaderboard.csv").read_text().splitlines()
    assert len(board) == 4


def test_the_first_result_appears_before_the_last_training(study):
    """Experiment e0 is finished after its own two trainings, not after all six."""
    trained = sorted(path.stat().st_mtime for path in study.results.rglob("fit.json"))
    assert len(trained) == 6
    assert (study.results / "e0" / "results.json").stat().st_mtime < trained[-1]


def test_the_registry_is_rebuilt_with_the_same_bytes(study):
    path = study.results / "registry.json"
    before = path.read_bytes()
    path.unlink()
    assert runs(study, "rebuild", study="tiny").returncode == 0
    assert path.read_bytes() == before


def test_a_finished_run_is_skipped_and_a_changed_key_makes_a_new_one(study, tmp_path):
    house = study.copy(tmp_path / "house")
    report = {**CONFIG["report"], "worst_n": 2}
    changed = house.write_config("changed.json", report=report)
    e0 = "results/tiny/e0/results.json"
    assert "Nothing to be done" in house.snakemake(e0).stderr
    done = house.snakemake(e0, "results/tiny/e3/results.json", "--forcerun", "write_experiment")
    assert done.returncode == 0, done.stderr
    assert "(e0) is complete since" in done.stderr
    assert house.snakemake(e0, config=changed).returncode == 0
    content = json.loads((house.results / "registry.json").read_text())["runs"]
    of_e0 = [entry for entry in content.values() if entry["experiment"] == "e0"]
    assert sorted(entry["attempts"] for entry in of_e0) == [1, 2]
    found = runs(house, "compare", *(entry["identity"] for entry in of_e0), "--format", "json",
                 study="tiny")  # fmt: skip
    assert [row["key"] for row in json.loads(found.stdout)["config"]] == ["report.worst_n"]


def test_an_exported_run_plans_the_same_jobs_elsewhere(study, tmp_path):
    out = tmp_path / "e0.zip"
    assert runs(study, "export", "e0", "--out", out, study="tiny").returncode == 0
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path)
    (place,) = tmp_path.glob("foldwise_*")
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=place, check=False)
    assert checked.returncode == 0
    (place / "tiny.json.gz").write_bytes((study.root / "tiny.json.gz").read_bytes())
    plan = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--cores", "1",
         "results/tiny/e0/results.json", "--configfile", "study.json"],
        cwd=place, env=study.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert plan.returncode == 0, plan.stderr
    assert "train_model" in plan.stdout + plan.stderr
