"""The benchmark compares the same work; a projection is a line through measured times."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from maintenance.bench.projection import (
    SizeClass,
    StudyPlan,
    atoms_of,
    project,
    read_classes,
    seconds_by_size,
)
from maintenance.bench.variants import variants
from paths import REPOSITORY

pytestmark = pytest.mark.slow  # buys: a projection from steps that are really trained

ROW = {
    "work", "engine", "device", "threads", "batch_size", "structures_per_s", "peak_bytes",
    "ratio_to_stock",
}  # fmt: skip


def size_class(atoms, rate):
    return SizeClass("fused", "cpu", "a processor", 32, atoms, 26.0 * atoms, 45.0 * atoms, rate)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "cpu.json"
    command = [
        sys.executable, "scripts/maintenance/bench_engine.py", "--dataset", "data/demo.json.gz",
        "--target", "e_form", "--structures", "48", "--batch-sizes", "16", "--rounds", "1",
        "--epochs", "1", "--threads", "1", "--out", str(out),
    ]  # fmt: skip
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return out


@pytest.mark.slow  # buys: a whole benchmark that is short
def test_every_kind_of_work_has_a_row_of_every_engine(measured):
    rows = json.loads(measured.read_text())
    assert all(set(row) == ROW for row in rows)
    names = {variant.name for variant in variants(torch.device("cpu"), compiled=False)}
    for work in ("train", "infer"):
        assert {row["engine"] for row in rows if row["work"] == work} == {"stock", *names}
    assert {row["work"] for row in rows} == {"train", "infer", "convert", "fit"}
    for row in rows:
        assert row["structures_per_s"] > 0
        assert (row["engine"] == "stock") == (row["ratio_to_stock"] == 1)
    page = measured.with_suffix(".md").read_text()
    assert "48 structures of demo.json.gz" in page
    assert page.count("\n| train | 16 |") == len(names) + 1


def test_size_classes_are_measured_from_small_to_large(measured):
    path = measured.with_name("cpu_sizes.json")
    classes = read_classes(path)
    assert len(classes) == 3
    sizes = [each.mean_edges + each.mean_angles for each in classes]
    assert sizes == sorted(sizes)
    machine = read_json(path)["machine"]
    assert 1e8 < machine["copy_bytes_per_s"] < 1e13
    assert 1e9 < machine["float32_flop_per_s"] < 1e15


def test_a_line_is_found_again():
    classes = [size_class(atoms, 1 / (2e-4 + 3e-6 * 71 * atoms)) for atoms in (2, 8, 15, 22)]
    assert seconds_by_size(classes) == pytest.approx((2e-4, 3e-6))


def test_no_time_below_zero():
    classes = [size_class(2, 100.0), size_class(20, 1000.0)]
    constant, slope = seconds_by_size(classes)
    assert constant >= 0
    assert slope == 0


def test_a_projection_is_passes_times_seconds(tmp_path):
    classes = [size_class(atoms, 1 / (1e-3 * atoms)) for atoms in (2, 4)]
    write_json(tmp_path / "sizes.json", {"classes": [each.as_dict() for each in classes]})
    table = tmp_path / "targets.csv"
    table.write_text("id,composition,target\na,Na1 Cl1,0\nb,Al2 O3,0\nc,Li1 Fe1 P1 O4,0\n")
    np.testing.assert_array_equal(atoms_of(table), [2, 5, 7])
    plan = StudyPlan(folds=5, models=4, epochs=50)
    assert plan.passes(132_752) == 106_201_600  # DESIGN's official study
    project(tmp_path / "sizes.json", table, plan, tmp_path / "out.json")
    record = read_json(tmp_path / "out.json")
    assert record["hours"] == pytest.approx(plan.passes(3) * 1e-3 * 14 / 3 / 3600)
    assert record["share_beyond_measured_size"] == pytest.approx(2 / 3)
    page = (tmp_path / "out.md").read_text()
    assert page.startswith("# A projection, not a measurement")
    assert "67% of its structures have more atoms than the largest class" in page
    assert "have 71 edges and angles per atom" in page


def test_a_rehearsal_adds_the_hours_of_jobs_that_train_nothing(tmp_path):
    classes = [size_class(atoms, 1 / (1e-3 * atoms)) for atoms in (2, 4)]
    write_json(tmp_path / "sizes.json", {"classes": [each.as_dict() for each in classes]})
    (tmp_path / "targets.csv").write_text("id,composition\na,Na1 Cl1\n")
    (tmp_path / "stages.csv").write_text(
        "stage,seconds,peak_bytes,disk_bytes,declared_mb\n"
        "train_model,9999,1,1,1\n"
        '"train_model, chgnet: 9 of 99 steps of an epoch",9999,1,1,1\n'
        "prepare_dataset,600,1,1,1\nmake_splits,12,1,1,1\n"
        "predict,120,1,1,1\nwrite_experiment,60,1,1,1\n"
    )
    plan = StudyPlan(folds=5, models=4, epochs=50)
    files = (tmp_path / "sizes.json", tmp_path / "targets.csv", plan, tmp_path / "out.json")
    project(*files, stages=tmp_path / "stages.csv")
    hours = (600 + 5 * 12 + 20 * 120 + 60) / 3600
    assert read_json(tmp_path / "out.json")["hours_beside_training"] == pytest.approx(hours)
    assert "take 0.9 hours more, as a rehearsal" in (tmp_path / "out.md").read_text()
    (tmp_path / "stages.csv").write_text("rule,s\n")
    with pytest.raises(FoldwiseError, match=r"no table of stages .*make_rehearsal"):
        project(*files, stages=tmp_path / "stages.csv")


def test_inputs_that_cannot_be_projected(tmp_path):
    write_json(tmp_path / "one.json", {"classes": [size_class(2, 100.0).as_dict()]})
    with pytest.raises(FoldwiseError, match="it has 1 size class"):
        read_classes(tmp_path / "one.json")
    write_json(tmp_path / "rows.json", {"rows": []})
    with pytest.raises(FoldwiseError) as caught:
        read_classes(tmp_path / "rows.json")
    assert str(caught.value) == (
        f"{tmp_path}/rows.json: it holds no size classes ('classes'). "
        "Give the …_sizes.json that scripts/maintenance/bench_engine.py writes."
    )
    (tmp_path / "t.csv").write_text("id,target\na,0\n")
    for path in (tmp_path / "t.csv", tmp_path / "none.csv"):
        with pytest.raises(FoldwiseError, match="no table with compositions"):
            atoms_of(path)


@pytest.mark.parametrize(
    ("nodes", "waves"), [(1, 20), (5, 4), (15, 2), (100, 2), (2, 8 + 3), (4, 4 + 2)]
)
def test_students_wait_for_their_teachers_however_many_nodes_there_are(nodes, waves):
    assert StudyPlan(folds=5, models=4, epochs=50).waves(nodes) == waves
