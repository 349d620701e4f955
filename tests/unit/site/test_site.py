"""The folder of the site: what stands in it, where it comes from, what is refused."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest
from scipy import stats

from experiment_files import EXPERIMENTS
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.site.data import tables
from foldwise.site.job import write_site
from foldwise.site.pages import assets
from foldwise.site.pages.assets import VENDOR, copy_assets, read_manifest
from foldwise.site.pages.overview import overview
from foldwise.site.reading.experiments import read_experiments
from foldwise.site.reading.runs import progress
from site_files import HOSTILE, HOSTILE_REASON


def value_of(site, name):
    text = (site / "data" / f"{name}.js").read_text(encoding="ascii")
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def test_vendored_files_are_those_of_the_manifest():
    listed = {name for library in read_manifest() for name in library["files"]}
    found = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert found == listed | {"manifest.json"}
    for library in read_manifest():
        assert f"{library['folder']}/LICENSE" in library["files"]
        assert library["integrity"].startswith("sha512-")
        for name, checksum in library["files"].items():
            assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksum


def test_a_changed_library_is_refused(tmp_path, monkeypatch):
    shutil.copytree(VENDOR, tmp_path / "vendor")
    with (tmp_path / "vendor" / "d3" / "d3.min.js").open("a") as file:
        file.write("//")
    monkeypatch.setattr(assets, "VENDOR", tmp_path / "vendor")
    with pytest.raises(FoldwiseError, match=r"not D3 7\.9\.0 as published"):
        copy_assets(tmp_path / "site")


def test_every_file_that_the_page_names_is_there(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:src|href)="((?:assets|files|data)/[^"]+)"', text))
    assert {"assets/start.js", "files/e4/predictions.parquet"} <= named
    assert [name for name in sorted(named) if not (site / name).is_file()] == []
    assert re.findall(r"https?://", text.replace("doi", "")) == []


def test_downloads_are_the_files_of_the_result_folder(site, site_study):
    for name in EXPERIMENTS:
        own = site / "files" / name / "predictions.parquet"
        source = site_study.results / name / "predictions.parquet"
        assert own.read_bytes() == source.read_bytes()


def test_the_page_escapes_what_comes_from_data(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert HOSTILE_REASON not in text
    assert "&lt;img src=x onerror=" in text


def test_the_same_results_give_the_same_bytes(site, site_study, tmp_path):
    again = write_site(site_study.paths, tmp_path / "site").parent
    first, second = (
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.js")}
        | {"index": (root / "index.html").read_bytes()}
        for root in (site, again)
    )
    assert first == second


def test_the_finding_names_what_the_record_decided(site_study):
    experiments = read_experiments(site_study.paths.experiments)
    view = overview(experiments)
    assert view["finding"].startswith("E4 (one student of that mean) has an MAE of ")
    for entry in experiments[-1].record["decision"]["comparisons"]:
        excludes_zero = entry["interval"][0] > 0 or entry["interval"][1] < 0
        clause = "accurate than" if excludes_zero else "cannot be told apart from"
        assert re.search(rf"{clause}[^;]*{entry['against'].upper()}", view["finding"])
    (chain,) = view["chains"]
    assert [stage["name"] for stage in chain["stages"]] == ["e0", "e3", "e4"]
    assert all(stage["seen"] for stage in chain["stages"])


def test_pairs_are_those_of_the_records_and_of_the_rows(site, site_study):
    pairs = {(each["experiment"], each["against"]): each for each in value_of(site, "pairs")}
    assert set(pairs) == {(later, first) for first, later in combinations(EXPERIMENTS, 2)}
    for name in EXPERIMENTS:
        record = read_json(site_study.results / name / "results.json")
        for entry in record["decision"]["comparisons"]:
            own = pairs[name, entry["against"]]
            assert [own["low"], own["high"]] == entry["interval"]
            assert own["delta"] == entry["delta_mae"]
    own = pairs["e4", "e0"]
    tables = [
        pd.read_parquet(site_study.results / name / "predictions.parquet").set_index("id")
        for name in ("e4", "e0")
    ]
    difference = tables[0]["abs_error"] - tables[1]["abs_error"].reindex(tables[0].index)
    for group in own["groups"]:
        assert group["low"] <= group["high"]
        kind, _, value = group["group"].partition("=")
        rows = difference[tables[0][kind].astype(str) == value]
        assert group["n"] == len(rows)
        assert group["delta"] == pytest.approx(rows.mean(), abs=1e-12)
        formulas = tables[0]["formula"].reindex(rows.index)
        if formulas.nunique() == len(rows):
            known = stats.ttest_1samp(rows, 0.0).confidence_interval()
            assert [group["low"], group["high"]] == pytest.approx(list(known))


def test_members_are_in_the_shard_of_their_row(site_study, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MEMBER_SHARD", 25)
    (experiment,) = read_experiments([site_study.results / "e3"])
    targets = pd.read_parquet(site_study.paths.targets).set_index("id")
    tables.write_answers(tmp_path, site_study.results, experiment, targets)
    shards = [value_of(tmp_path, f"members_e3_{number}")["columns"] for number in range(3)]
    assert [shard["seed 1"]["n"] for shard in shards] == [25, 25, 10]
    assert len(list((tmp_path / "data").glob("members_*"))) == 3
    middle = experiment.members["seed 1"].reindex(targets.index).iloc[25:50]
    quantum = shards[1]["seed 1"]["quantum"]
    assert shards[1]["seed 1"] == tables.number_column(middle, quantum)


def test_progress_counts_outputs_and_reads_the_last_step(tmp_path):
    (tmp_path / "a.json").touch()
    (tmp_path / "b.log").write_text(
        "step 1/9  loss 1  1.000 s/step  elapsed 0:01  ETA 0:08\n"
        "step 2/9  loss 1  1.000 s/step  elapsed 0:02  ETA 0:07\nnote\n"
    )
    jobs = [
        {"rule": "done", "outputs": ["a.json"], "logs": []},
        {"rule": "busy", "outputs": ["b.json"], "logs": ["b.log"]},
        {"rule": "waiting", "outputs": ["c.json"], "logs": ["c.log"]},
    ]
    found = progress({"workdir": str(tmp_path), "jobs": jobs})
    working = [{"rule": "busy", "step": 2, "steps": 9, "eta": "0:07"}]
    assert found == {"jobs": 3, "done": 1, "working": working}
    assert progress(None) is None


def test_a_folder_of_other_things_is_not_replaced(site_study, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(FoldwiseError, match=r"mine\.txt"):
        write_site(site_study.paths, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_missing_record_leaves_the_old_site(site_study, tmp_path):
    out = tmp_path / "site"
    out.mkdir()
    (out / "index.html").write_text("old")
    paths = replace(site_study.paths, experiments=[tmp_path / "none"])
    with pytest.raises(FoldwiseError, match="does not exist"):
        write_site(paths, out)
    assert [path.name for path in out.iterdir()] == ["index.html"]


def test_experiments_of_two_tasks_are_refused(site_study, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(site_study.results / "e0", other)
    record = read_json(other / "results.json")
    write_json(other / "results.json", record | {"task": "mp_gap", "config_id": "other_01234567"})
    paths = replace(site_study.paths, experiments=[site_study.results / "e3", other])
    with pytest.raises(FoldwiseError, match=r"of 2 tasks \(demo_e_form, mp_gap\)"):
        write_site(paths, tmp_path / "site")
