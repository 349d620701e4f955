import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.tracking import commands
from foldwise.tracking.record.events import SCHEMA, read_events, upgraded, write_event
from foldwise.tracking.record.identity import run_identity
from foldwise.tracking.record.lifecycle import (
    add_metric,
    complete_experiment,
    decide,
    fail,
    prepare,
    start,
)
from foldwise.tracking.record.registry import Registry
from paths import REPOSITORY
from tracking_files import CLEAN, finished_run, make_config, make_results

WRITERS, RUNS_EACH, KILLED = 16, 50, 3


LANGUAGE = {
    "results_id": "law_0", "unit": "share of questions", "test_presumably_seen": None,
    "dataset_sha256": "e" * 64, "results": "runs/mine", "metrics": {"real1": 0.5, "n": 9},
    "ranked_by": "real1", "direction": "max", "artifacts": {},
}  # fmt: skip


def write_runs(root: Path, writer: int, gate: Path, notes: Path) -> None:
    """Start and complete runs one after the other, and note each completed one."""
    registry = Registry(root)
    result = {
        "results_id": "e0_0", "unit": "eV", "test_presumably_seen": False,
        "dataset_sha256": "d" * 64, "results": "e0", "metrics": {"mae_mean": 0.1},
        "ranked_by": "mae_mean", "direction": "min", "artifacts": {},
    }  # fmt: skip
    while not gate.exists():
        time.sleep(0.01)
    with notes.open("a") as note:
        for number in range(RUNS_EACH):
            config = make_config(writer=writer, number=number)
            if number % 2:
                config["task"] = "masked_lm_law_0123abcd"
            identity = run_identity(config, CLEAN.git_commit)
            with registry.change() as change:
                start(change, registry.folder(identity), config, code=CLEAN)
                change.append(identity, "complete", LANGUAGE if number % 2 else result)
            print(identity, file=note, flush=True)


def valid(path: Path, schema: str) -> dict:
    content = json.loads(path.read_text())
    Draft202012Validator(read_json(REPOSITORY / "config/schemas" / schema)).validate(content)
    return content


@pytest.mark.slow  # buys: many calls about crystals and texts at once, some killed, lose no run
@pytest.mark.parametrize("n_killed", [pytest.param(0, marks=pytest.mark.proof), KILLED])
def test_sixteen_writers_three_of_them_killed_lose_no_completed_run(tmp_path, n_killed):
    root, gate = tmp_path / "results", tmp_path / "gate"
    registry = Registry(root)
    fork = multiprocessing.get_context("fork")
    notes = [tmp_path / f"writer_{number}" for number in range(WRITERS)]
    writers = [
        fork.Process(target=write_runs, args=(root, number, gate, note))
        for number, note in enumerate(notes)
    ]
    for writer in writers:
        writer.start()
    gate.touch()
    seen, reads = 0, 0
    while any(writer.is_alive() for writer in writers[n_killed:]):
        if registry.path.exists():
            count = len(json.loads(registry.path.read_text())["runs"])
            assert count >= seen
            seen, reads = count, reads + 1
        for order, writer in enumerate(writers[:n_killed], start=1):
            if seen >= 60 * order and writer.is_alive():
                os.kill(writer.pid, signal.SIGKILL)
        time.sleep(0.005)
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [-signal.SIGKILL] * n_killed + [0] * (
        WRITERS - n_killed
    )
    completed = {line for note in notes for line in note.read_text().split()}
    assert reads > 20
    finished_run(registry, make_config())  # the next writer tidies up
    entries = valid(registry.path, "registry.schema.json")["runs"]
    assert len(completed) >= (WRITERS - n_killed) * RUNS_EACH
    if not n_killed:
        kept = [name for name in completed if entries[name]["status"] == "complete"]
        print(f"{len(kept)} of {WRITERS * RUNS_EACH} kept")
        assert len(kept) == WRITERS * RUNS_EACH
        assert {entry["ranked_by"] for entry in entries.values()} == {"mae_mean", "real1"}
    assert {name for name in completed if entries[name]["status"] != "complete"} == set()
    before = registry.path.read_bytes()
    registry.path.unlink()
    registry.rebuild()
    assert registry.path.read_bytes() == before


def test_a_comment_and_the_order_of_keys_make_no_new_run_but_a_value_and_a_commit_do():
    text = "lr: 0.001\nepochs: 3\n"
    same = [text, "# faster\nepochs: 3 # few\nlr: 1.0e-3\n"]
    configs = [make_config(**yaml.safe_load(each)) for each in same]
    identities = {run_identity(config, CLEAN.git_commit) for config in configs}
    assert len(identities) == 1
    changed = make_config(lr=0.002)
    assert run_identity(changed, CLEAN.git_commit) not in identities
    assert run_identity(configs[0], "b" * 40) not in identities
    assert run_identity(configs[0], None).endswith("_nogit")


def test_other_uncommitted_changes_make_another_run(tmp_path):
    registry = Registry(tmp_path)
    config = make_config()
    states = [CLEAN, *(replace(CLEAN, git_dirty=True, dirty_hash=each * 64) for each in "12")]
    runs = [finished_run(registry, config, code=code)["identity"] for code in states]
    assert runs == [runs[0], f"{runs[0]}_1111111", f"{runs[0]}_2222222"]
    assert set(valid(registry.path, "registry.schema.json")["runs"]) == set(runs)
    again = prepare(registry.entries(), config, states[1])
    assert (again.identity, again.status) == (runs[1], "complete")


def test_the_run_id_says_what_and_when(tmp_path):
    entry = finished_run(Registry(tmp_path), make_config("e3"))
    started = entry["started"].replace("-", "").replace(":", "")
    assert entry["run_id"] == f"e3_{started}_{entry['config_hash'][:8]}"


def test_a_complete_run_is_skipped_and_says_so(tmp_path):
    registry = Registry(tmp_path)
    config = make_config()
    assert prepare(registry.entries(), config, CLEAN).status == "new"
    entry = finished_run(registry, config)
    known = prepare(registry.entries(), config, CLEAN)
    assert known.status == "complete"
    assert known.message == (
        f"run {known.identity} (e0) is complete since {entry['ended']}: skipped, see e0/"
    )
    other = replace(CLEAN, git_commit="b" * 40)
    assert prepare(registry.entries(), config, other).status == "new"


def test_deleted_registry_is_rebuilt_with_the_same_bytes(tmp_path):
    registry = Registry(tmp_path)
    for number, mae in enumerate((0.07, 0.03, 0.05)):
        finished_run(registry, make_config(f"e{number}"), mae)
    decide(registry, run_identity(make_config("e1"), CLEAN.git_commit), "discard", "a leak")
    content = [path.read_bytes() for path in (registry.path, tmp_path / "leaderboard.csv")]
    entries = valid(registry.path, "registry.schema.json")["runs"].values()
    assert {entry["experiment"] for entry in entries if entry["is_best"]} == {"e2"}
    for damage in ("", "{"):
        registry.path.write_text(damage)
        registry.rebuild()
        after = [path.read_bytes() for path in (registry.path, tmp_path / "leaderboard.csv")]
        assert after == content


def test_a_run_of_one_fold_is_not_the_best_beside_one_of_all(tmp_path):
    registry = Registry(tmp_path)
    finished_run(registry, make_config("e0"), 0.05, n=500)
    finished_run(registry, make_config("e3"), 0.03, n=100)
    entries = valid(registry.path, "registry.schema.json")["runs"].values()
    assert {entry["experiment"] for entry in entries if entry["is_best"]} == {"e0"}


def test_leaderboard_has_all_runs_the_worst_first_and_failed_ones_before(tmp_path):
    registry = Registry(tmp_path)
    finished_run(registry, make_config("e0"), 0.03)
    finished_run(registry, make_config("e1"), 0.05)
    broken = registry.folder(run_identity(make_config("e2"), CLEAN.git_commit))
    failure = {
        "kind": "exit_code", "reason": "train_model: exit code 7", "rule": "train_model",
        "outputs": [], "exit_status": 7, "log": None, "log_tail": [], "host": "n1",
    }  # fmt: skip
    with registry.change() as change:
        start(change, broken, make_config("e2"), code=CLEAN)
        fail(change, broken.name, failure)
    lines = (tmp_path / "leaderboard.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["experiment", "e2", "e1", "e0"]
    assert lines[1].endswith("train_model: exit code 7")


def test_records_are_immutable(tmp_path):
    registry = Registry(tmp_path)
    identity = finished_run(registry, make_config(), 0.05)["identity"]
    entry = add_metric(registry, identity, "mae_of_oxides", 0.02)
    assert entry["metrics"]["mae_of_oxides"] == 0.02
    assert entry["metrics"]["mae_mean"] == 0.05
    with pytest.raises(FoldwiseError, match=r"is recorded as 0\.05"):
        add_metric(registry, identity, "mae_mean", 0.04)
    for path in (registry.folder(identity) / "events").iterdir():
        assert path.stat().st_mode & 0o222 == 0


def test_a_person_overrules_the_rule_and_not_the_other_way_round(tmp_path):
    registry = Registry(tmp_path)
    config = make_config()
    identity = finished_run(registry, config)["identity"]
    assert registry.entries()[identity]["decision"]["by"] == "rule"
    decide(registry, identity, "discard", "the targets were wrong")
    entry = finished_run(registry, config, 0.04)  # a second attempt, the rule says keep
    assert (entry["attempts"], entry["metrics"]["mae_mean"]) == (2, 0.04)
    assert entry["decision"]["verdict"] == "discard"
    with pytest.raises(FoldwiseError, match="no such run"):
        decide(registry, "00000000_0000000", "keep", "it is good")


def test_first_version_is_read_and_stays_as_it_is(tmp_path):
    registry = Registry(tmp_path)
    identity = finished_run(registry, make_config())["identity"]
    old = {"schema_version": 1, "kind": "decide", "timestamp": "2026-01-02T03:04:05Z",
           "decision": "discard", "decision_reason": "too slow"}  # fmt: skip
    path = registry.folder(identity) / "events" / "0009_decide.json"
    write_json(path, old)
    decision = registry.rebuild()[identity]["decision"]
    assert decision == {"verdict": "discard", "reason": "too slow", "by": "person",
                        "time": "2026-01-02T03:04:05Z"}  # fmt: skip
    assert read_json(path) == old
    for event in read_events(registry.folder(identity)):
        Draft202012Validator(read_json(SCHEMA)).validate(event)
    with pytest.raises(FoldwiseError, match="schema_version 4 is unknown"):
        upgraded({**old, "schema_version": 4}, "event.json")


OLD = Path(__file__).parent / "events_version_2"


@pytest.fixture
def old_registry(tmp_path):
    """Two runs of the default study, written before runs had a `run_id` and checksums."""
    shutil.copytree(OLD, tmp_path / "results" / "runs")
    return Registry(tmp_path / "results")


def test_events_of_the_second_version_migrate_and_stay_as_they_are(old_registry):
    before = {path: path.read_bytes() for path in old_registry.runs.rglob("*.json")}
    entries = old_registry.rebuild()
    valid(old_registry.path, "registry.schema.json")
    done, lost = entries["e6f09c33_d5ea8af"], entries["684cc4dd_d5ea8af"]
    assert (done["status"], lost["status"]) == ("complete", "failed")
    assert done["run_id"] == "e0_20261121T141040Z_e6f09c33"
    assert done["results_id"] == "e0_e86ffe6c"
    assert (done["ranked_by"], done["direction"], done["is_best"]) == ("mae_mean", "min", True)
    assert done["metrics"]["mae_mean"] == 0.046402985470342085
    assert done["artifact_paths"] == {}
    assert lost["failure"]["kind"] == "vanished"
    for folder in old_registry.runs.iterdir():
        for event in read_events(folder):
            Draft202012Validator(read_json(SCHEMA)).validate(event)
    assert {path: path.read_bytes() for path in old_registry.runs.rglob("*.json")} == before


def test_every_command_reads_a_registry_of_the_second_version(old_registry, tmp_path):
    """Also its own `registry.json`, which said nothing of ranks and checksums."""
    entries = old_registry.rebuild()
    new = ("results_id", "ranked_by", "direction", "artifact_paths")
    for entry in entries.values():
        entry["run_id"] = entry["results_id"]
        for key in new:
            del entry[key]
    old_registry.path.write_text(json.dumps({"schema_version": 2, "runs": entries}))
    root = old_registry.root
    listed = commands.list_runs(root, None, None)
    assert [row.split("|")[2].strip() for row in listed.splitlines()[2:4]] == ["e5", "e0"]
    assert "artifacts    none with a checksum" in commands.show(root, "e0", "text")
    assert "e0" in commands.rank(root, "mae_mean", None)
    commands.decide(root, "e0", "keep", "looked at")
    commands.judge_stability(root, "e0", "stable", "", tmp_path / "runs.yaml")
    assert "run(s)" in commands.rebuild(root)
    assert commands.prune(root, delete=False).endswith("without --delete")
    finished_run(old_registry, make_config("e9"), 0.02)
    valid(old_registry.path, "registry.schema.json")


def test_event_without_its_facts_is_refused(tmp_path):
    with pytest.raises(FoldwiseError, match="decide event"):
        write_event(tmp_path, "decide", {"verdict": "perhaps", "reason": "-", "by": "person"})
    assert not list(tmp_path.iterdir())


def test_a_folder_made_without_snakemake_is_recorded_only_where_runs_are_tracked(tmp_path):
    results = make_results(tmp_path / "e0", make_config())
    assert complete_experiment(results) is None
    (tmp_path / "runs").mkdir()
    entry = complete_experiment(results)
    assert (entry["status"], entry["results"]) == ("complete", "e0")
    copied = Registry(tmp_path).folder(entry["identity"]) / "attempt_1"
    assert (copied / "results.json").read_bytes() == (results / "results.json").read_bytes()
    assert list((Registry(tmp_path).runs / ".pending").iterdir()) == []


FAILURE = {
    "kind": "exit_code", "reason": "train_model: exit code 7", "rule": "train_model", "outputs": [],
    "exit_status": 7, "host": "h", "log": None, "log_tail": [],
}  # fmt: skip


def begin_again(registry: Registry, config: dict) -> str:
    identity = run_identity(config, CLEAN.git_commit)
    with registry.change() as change:
        start(change, registry.folder(identity), config, code=CLEAN)
    return identity


def test_a_complete_run_keeps_its_record_if_its_next_attempt_fails(tmp_path):
    registry = Registry(tmp_path)
    first = finished_run(registry, make_config(), 0.05)
    identity = begin_again(registry, make_config())
    running = registry.entries()[identity]
    assert (running["status"], running["metrics"]) == ("running", first["metrics"])
    with registry.change() as change:
        fail(change, identity, FAILURE)
    after = valid(registry.path, "registry.schema.json")["runs"][identity]
    changed = {key for key in after if after[key] != first[key]} - {"is_best"}
    assert changed == {"attempts", "failure"}
    add_metric(registry, identity, "mae_of_oxides", 0.02)
    header = (tmp_path / "leaderboard.csv").read_text().splitlines()[0].split(",")
    assert header[-1] == "mae_of_oxides"
    shown = json.loads(commands.show(tmp_path, identity, "json"))
    assert (shown["attempt"], shown["attempts"], shown["status"]) == (1, 2, "complete")
    assert shown["metrics"]["mae_of_oxides"] == 0.02
    second = json.loads(commands.show(tmp_path, identity, "json", 2))
    assert (second["status"], second["metrics"]) == ("failed", {})
    with pytest.raises(FoldwiseError, match=identity):
        commands.show(tmp_path, identity, "json", 3)
    again = finished_run(registry, make_config(), 0.04)
    assert (again["attempt"], again["metrics"]["mae_mean"]) == (3, 0.04)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_only_finite_numbers_are_metrics(tmp_path, value):
    identity = finished_run(Registry(tmp_path), make_config())["identity"]
    with pytest.raises(FoldwiseError, match="mine"):
        add_metric(Registry(tmp_path), identity, "mine", value)


@pytest.mark.parametrize("name", ["status", "decision", "reason"])
def test_a_metric_does_not_hide_a_column(tmp_path, name):
    identity = finished_run(Registry(tmp_path), make_config())["identity"]
    with pytest.raises(FoldwiseError, match=name):
        add_metric(Registry(tmp_path), identity, name, 1.0)


@pytest.mark.parametrize(
    "text", ["null", "[]", '{"schema_version": 3}', '{"runs": [1]}', "[" * 9000, None]
)
def test_a_registry_that_is_damaged_or_missing_is_one_line_with_the_way_out(tmp_path, text):
    registry = Registry(tmp_path)
    finished_run(registry, make_config())
    before = registry.path.read_bytes()
    registry.path.unlink()
    if text is not None:
        registry.path.write_text(text)
    with pytest.raises(FoldwiseError, match="rebuild"):
        commands.list_runs(tmp_path, None, None)
    commands.rebuild(tmp_path)
    assert registry.path.read_bytes() == before


def test_results_that_are_not_a_folder_are_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("absent", "file"):
        with pytest.raises(FoldwiseError, match=name):
            commands.list_runs(tmp_path / name, None, None)
    with pytest.raises(FoldwiseError, match="file"), Registry(tmp_path / "file").change():
        pass


@pytest.mark.parametrize("kind", ["start", "complete"])
@pytest.mark.parametrize("text", ["", "null", "[]", '{"kind": "start"}', "{}"])
def test_one_damaged_event_blocks_no_run(tmp_path, capsys, kind, text):
    registry = Registry(tmp_path)
    identity = finished_run(registry, make_config())["identity"]
    event = next((registry.folder(identity) / "events").glob(f"*_{kind}.json"))
    event.chmod(0o644)
    event.write_text(text)
    registry.path.unlink()
    finished_run(registry, make_config("e1"))
    assert event.name in capsys.readouterr().err
    assert finished_run(registry, make_config(), 0.04)["attempt"] == 2
    assert event.read_text() == text


def test_marks_that_no_run_left_are_no_obstacle(tmp_path):
    registry = Registry(tmp_path)
    identity = finished_run(registry, make_config())["identity"]
    registry.pending.mkdir(exist_ok=True)
    (registry.pending / "notes.txt").write_text("mine")
    (registry.pending / "folder").mkdir()
    finished_run(registry, make_config("e1"))
    assert identity in registry.entries()
