import json
import subprocess
import zipfile
from dataclasses import replace

import pytest
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, write_text
from foldwise.tracking import commands
from foldwise.tracking.exports import archive
from foldwise.tracking.questions import stability
from foldwise.tracking.record.code_state import code_state
from foldwise.tracking.record.environment import environment
from foldwise.tracking.record.registry import Registry
from tracking_files import CLEAN, finished_run, make_config


@pytest.fixture
def results(tmp_path):
    registry = Registry(tmp_path / "results")
    for number, mae in enumerate((0.07, 0.03, 0.05)):
        finished_run(registry, make_config(f"e{number}"), mae)
    return registry.root


def order(text):
    return [line.split("|")[2].strip() for line in text.splitlines()[2:5]]


def test_list_begins_with_the_worst_and_rank_with_the_best(results):
    assert order(commands.list_runs(results, None, None)) == ["e0", "e2", "e1"]
    assert order(commands.list_runs(results, None, "rmse_mean")) == ["e0", "e2", "e1"]
    assert order(commands.rank(results, "mae_mean", None)) == ["e1", "e2", "e0"]
    assert order(commands.rank(results, "mae_mean", "max")) == ["e0", "e2", "e1"]
    with pytest.raises(FoldwiseError, match="no run has metric 'accuracy'"):
        commands.rank(results, "accuracy", None)


def test_a_run_is_found_by_identity_beginning_and_experiment(results):
    entry = json.loads(commands.show(results, "e1", "json"))
    for name in (entry["identity"], entry["identity"][:6]):
        assert json.loads(commands.show(results, name, "json")) == entry
    with pytest.raises(FoldwiseError, match="no such run"):
        commands.show(results, "e9", "text")


def test_best_moves_on_when_the_best_run_is_discarded(results):
    commands.decide(results, "e1", "discard", "its split leaked")
    best = [entry for entry in Registry(results).entries().values() if entry["is_best"]]
    assert [entry["experiment"] for entry in best] == ["e2"]
    assert "discard by person: its split leaked" in commands.show(results, "e1", "text")


def test_prune_shows_first_and_deletes_only_what_is_discarded(results):
    commands.decide(results, "e1", "discard", "its split leaked")
    state = results / "models/baseline/toy_gap/fold_0/seed_0/.resume/state.pt"
    write_text(state, "state")
    shown = commands.prune(results, delete=False)
    assert "1 place(s) to delete" in shown
    commands.prune(results, delete=True)
    left = {
        path.parent.parent.name for path in results.glob("runs/*/attempt_1/predictions.parquet")
    }
    discarded = json.loads(commands.show(results, "e1", "json"))["identity"]
    assert len(left) == 2
    assert discarded not in left
    assert (results / f"runs/{discarded}/attempt_1/results.json").exists()
    assert state.exists()  # kept runs use this recipe too
    for name in ("e0", "e2"):
        commands.decide(results, name, "discard", "all of it leaked")
    commands.prune(results, delete=True)
    assert not state.exists()


def test_export_holds_code_config_record_and_true_checksums(results, tmp_path, monkeypatch):
    house = tmp_path / "house"
    write_text(house / "Snakefile", "rule all:\n")
    monkeypatch.setattr(archive, "REPOSITORY", house)
    entry = finished_run(
        Registry(results), make_config("e3"), 0.04,
        code=CLEAN.__class__(None, None, None, None),
    )  # fmt: skip
    out = tmp_path / "run.zip"
    commands.export(results, "e3", out)
    first = out.read_bytes()
    commands.export(results, "e3", out)
    assert out.read_bytes() == first
    with zipfile.ZipFile(out) as zipped:
        names = {name.split("/", 1)[1] for name in zipped.namelist()}
        readme = zipped.read(f"foldwise_{entry['identity']}/README.txt").decode()
    assert {"Snakefile", "study.json", "SHA256SUMS", "record/attempt_1/results.json",
            "record/events/0001_start.json"} <= names  # fmt: skip
    assert "snakemake --cores 2 results/e3/results.json --configfile study.json" in readme


@pytest.mark.parametrize("under_git", [True, False])
def test_export_packs_no_untracked_file_and_nothing_behind_a_link(
    results, tmp_path, monkeypatch, under_git
):
    root, secret = tmp_path / "repository", tmp_path / "secret.yaml"
    write_text(secret, "TOPSECRET")
    write_text(root / "Snakefile", "rule all:\n")
    write_text(root / "config" / "config.yaml", "a: 1\n")
    (root / "config" / "linked.yaml").symlink_to(secret)
    run = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e"]
    code = CLEAN.__class__(None, None, None, None)
    if under_git:
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
            subprocess.run([*run, *command], check=True)
    write_text(root / "Snakefile", "rule all:  # changed\n")
    for name in (".env", "config/.env", "config/id_rsa", "data/key.pem"):
        write_text(root / name, "TOPSECRET")
    write_text(root / "config" / "mine.yaml", "b: 1\n")
    monkeypatch.setattr(archive, "REPOSITORY", root)
    if under_git:
        code = code_state(root)
        monkeypatch.setattr(archive, "code_state", lambda: code)
    registry = Registry(results)
    entry = finished_run(registry, make_config("e4"), 0.04, code=code)
    (registry.folder(entry["identity"]) / "linked.txt").symlink_to(secret)
    out = tmp_path / "run.zip"
    commands.export(results, "e4", out, ["config/mine.yaml"])
    with zipfile.ZipFile(out) as zipped:
        content = {name.split("/", 1)[1]: zipped.read(name) for name in zipped.namelist()}
    assert not [name for name, data in content.items() if b"TOPSECRET" in data]
    assert content["Snakefile"] == b"rule all:  # changed\n"
    assert {"config/config.yaml", "config/mine.yaml"} <= set(content)
    for name in ("config/linked.yaml", str(secret), "../secret.yaml", "absent"):
        with pytest.raises(FoldwiseError, match=name.replace(".", "[.]")):
            commands.export(results, "e4", out, [name])


def test_stability_log_is_yaml_and_the_preflight_reads_it(results, tmp_path):
    log = tmp_path / "runs.yaml"
    entry = json.loads(commands.show(results, "e1", "json"))
    facts = entry["config_hash"], entry["git_commit"]
    assert "has never been judged" in stability.stability_of("default/e1", *facts, log)
    commands.judge_stability(results, "e1", "stable", "checked on all rows", log)
    commands.judge_stability(results, "e2", "unstable", "loss spikes", log)
    entries = yaml.safe_load(log.read_text())
    assert [one["status"] for one in entries] == ["stable", "unstable"]
    text = stability.stability_of("default/e1", *facts, log)
    assert "was stable on this hardware" in text
    assert text.endswith("with this config and commit: checked on all rows")
    assert "another commit (aaaaaaa)" in stability.stability_of(
        "default/e1", facts[0], "b" * 40, log
    )
    entries[0]["env"]["cpu"] = f"not {environment()['cpu']}"
    log.write_text(yaml.safe_dump(entries))
    assert "never tried on this hardware" in stability.stability_of("default/e1", *facts, log)
    log.write_text("- id: x\n")
    with pytest.raises(FoldwiseError, match="is missing"):
        stability.read_log(log)


def test_a_run_of_changed_files_is_not_judged(tmp_path):
    registry = Registry(tmp_path / "results")
    finished_run(registry, make_config("e1"), code=replace(CLEAN, git_dirty=True, dirty_hash="d"))
    with pytest.raises(FoldwiseError, match="commit"):
        commands.judge_stability(registry.root, "e1", "stable", "", tmp_path / "runs.yaml")
    assert not (tmp_path / "runs.yaml").exists()


def test_every_entry_of_the_log_names_a_commit_of_this_history():
    for entry in stability.read_log():
        named = ["git", "merge-base", "--is-ancestor", entry["git_commit"], "HEAD"]
        assert subprocess.run(named, cwd=REPOSITORY, check=False).returncode == 0, entry["id"]


def test_the_stability_log_is_shown_without_arguments(results, tmp_path):
    log = tmp_path / "runs.yaml"
    assert commands.list_stability(log).endswith("no run has been judged")
    commands.judge_stability(results, "e1", "stable", "checked on all rows", log)
    commands.judge_stability(results, "e2", "unstable", "loss spikes", log)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in commands.list_stability(log).splitlines()[2:]
    ]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("default/e2", "unstable", "loss spikes"), ("default/e1", "stable", "checked on all rows"),
    ]  # fmt: skip
    assert rows[0][4] == environment()["cpu"]
    assert "mae_mean 0.05" in rows[0][5]
    with pytest.raises(FoldwiseError, match="no status is given"):
        commands.judge_stability(results, "e1", None, "", log)
