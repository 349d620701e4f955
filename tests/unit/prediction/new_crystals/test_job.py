"""From structures of a source to one table, also after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from crystal_files import cesium_chloride, run_script, site, structure, table, write_table
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import content_sha256
from foldwise.network.machine import Machine
from foldwise.prediction.exported.contents import open_model
from foldwise.prediction.new_crystals import job, parts
from foldwise.prediction.new_crystals.partial import PartialTable
from foldwise.prediction.new_crystals.predictor import Predictor
from model_files import DOMAIN, exported_model
from paths import REPOSITORY

pytestmark = pytest.mark.slow  # buys: the program that answers for new crystals, as a user calls it

COUNT = 40
CALL = """
import os, signal, sys
from pathlib import Path
from foldwise.network.machine import Machine
from foldwise.prediction.new_crystals import job, parts
from foldwise.prediction.new_crystals.partial import PartialTable

parts.PART_CRYSTALS = 8
append = PartialTable.append

def killed(table, rows):
    killed.calls += 1
    if killed.calls == 3:
        rows = list(rows)
        with table._rows.open("ab") as file:
            file.write(b"half,of,a")
        os.kill(os.getpid(), signal.SIGKILL)
    append(table, rows)

killed.calls = 0
PartialTable.append = killed
job.predict_structures(*map(Path, sys.argv[1:4]), machine=Machine("cpu", threads=2))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return exported_model(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Crystals of several kinds: known, new, too large, isolated, disordered."""
    return write_crystals(tmp_path_factory.mktemp("source") / "new.json.gz", 3.4)


def write_crystals(path, cell):
    crystals = [cesium_chloride("Na", "Cl", cell + 0.01 * number) for number in range(COUNT - 4)]
    lonely = structure(site("Si", 0, 0, 0), a=9.0)
    disordered = structure(site("Na", 0, 0, 0, occu=0.5), site("Cl", 0.5, 0.5, 0.5))
    disordered["sites"][0]["species"][0]["occu"] = 0.5
    crystals[5:5] = [cesium_chloride("K", "I", 4.5), lonely, disordered,
                     cesium_chloride("Mg", "O", 2.9)]  # fmt: skip
    names = [f"c{number:03d}" for number in range(COUNT)]
    return write_table(path, table(crystals, index=names))


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PART_CRYSTALS", 8)


def run(model, source, out, threads=1, **options):
    done = job.predict_structures(model, source, out, machine=Machine("cpu", threads), **options)
    return done, pd.read_csv(out, keep_default_na=False)


def test_every_structure_is_one_row(model, source, tmp_path, small_parts):
    done, rows = run(model, source, tmp_path / "p.csv")
    assert list(rows.columns) == ["id", "prediction", "low", "high", "warning"]
    assert rows["id"].tolist() == [f"c{number:03d}" for number in range(COUNT)]
    silent = rows[rows["prediction"] == ""].set_index("id")["warning"]
    assert "isolated" in silent["c006"]
    assert "partial occupancy" in silent["c007"]
    assert set(silent.index) == {"c006", "c007"}
    assert (silent.str.startswith("no answer: ")).all()
    assert (
        rows["warning"][5]
        == "no training crystal has K I; composition far from training "
        + (rows["warning"][5].split("training ", 2)[-1])
    )
    assert (done.rows, done.answered, done.resumed) == (COUNT, COUNT - 2, 0)
    assert done.warned == (rows["warning"] != "").sum() - 2
    assert DOMAIN.max_atoms == 8
    assert not list(tmp_path.glob("*.partial*"))


def test_rows_are_what_the_predictor_says_of_single_crystals(model, source, tmp_path, small_parts):
    _, rows = run(model, source, tmp_path / "p.csv")
    from pymatgen.core import Structure  # noqa: PLC0415

    predictor = Predictor(model, Machine("cpu"))
    for number in (0, 8, 20):
        kept = number if number < 5 else number - 4
        lattice = 2.9 if number == 8 else 3.4 + 0.01 * kept
        kinds = ["Mg", "O"] if number == 8 else ["Na", "Cl"]
        crystal = Structure(lattice * np.eye(3), kinds, [[0, 0, 0], [0.5] * 3])
        answer = predictor.predict(crystal)
        for column in ("prediction", "low", "high"):
            assert float(rows[column][number]) == pytest.approx(getattr(answer, column), abs=2e-6)
        assert rows["warning"][number] == answer.warning


def killed_after_two_parts(model, source, out):
    died = subprocess.run(
        [sys.executable, "-c", CALL, str(model), str(source), str(out)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")}, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL


def test_a_killed_call_goes_on_and_ends_with_the_same_bytes(model, source, tmp_path, small_parts):
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    run(model, source, whole)
    killed_after_two_parts(model, source, cut)
    assert not cut.exists()
    assert (tmp_path / "cut.csv.partial").read_bytes().endswith(b"half,of,a")
    done, _ = run(model, source, cut, threads=2)
    assert done.resumed == 16
    assert cut.read_bytes() == whole.read_bytes()


def test_a_partial_table_of_other_work_is_begun_anew(tmp_path):
    out = tmp_path / "p.csv"
    PartialTable(out, "one").append([("a", "1", "", "", "")])
    assert PartialTable(out, "one").ids() == ["a"]
    assert PartialTable(out, "two").ids() == []


def test_confidence_widens_and_too_few_scores_give_none(model, source, tmp_path, small_parts):
    _, usual = run(model, source, tmp_path / "a.csv")
    _, wide = run(model, source, tmp_path / "b.csv", confidence=0.95)
    done, none = run(model, source, tmp_path / "c.csv", confidence=0.999)
    answered = usual["prediction"] != ""
    width = [(t["high"][answered].astype(float) - t["low"][answered].astype(float)).mean()
             for t in (usual, wide)]  # fmt: skip
    assert width[0] < width[1]
    assert (none["low"] == "").all()
    assert "held out 60 crystals" in done.statement
    with pytest.raises(FoldwiseError, match="no share"):
        run(model, source, tmp_path / "d.csv", confidence=90)


def test_program(model, source, tmp_path):
    out = tmp_path / "p.csv"
    done = run_script("predict_structures.py", "--experiment", model, "--structures", source,
                      "--out", out, "--device", "cpu")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} structures, {COUNT - 2} answered" in done.stdout
    assert len(pd.read_csv(out)) == COUNT


def test_of_two_calls_at_once_one_is_refused_and_the_other_is_whole(model, source, tmp_path):
    out = tmp_path / "p.csv"
    words = ["--experiment", model, "--structures", source, "--out", out, "--device", "cpu"]
    first = subprocess.Popen(
        [sys.executable, REPOSITORY / "scripts" / "predict_structures.py", *words]
    )
    while not any(path.stat().st_size for path in tmp_path.iterdir()) and first.poll() is None:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # in the middle of its work, whatever the machine
    try:
        second = run_script("predict_structures.py", *words)
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert second.returncode == 2
    assert str(out) in second.stderr
    assert len(pd.read_csv(out)) == COUNT
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda folder: None, "the folder does not exist"),
        (lambda folder: folder.mkdir(), "it holds no model/"),
    ],
)
def test_an_experiment_without_a_model(source, tmp_path, spoil, line):
    spoil(tmp_path / "e9")
    done = run_script("predict_structures.py", "--experiment", tmp_path / "e9",
                      "--structures", source, "--out", tmp_path / "p.csv")  # fmt: skip
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_model(model, source, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"format": "other"}))
    with pytest.raises(FoldwiseError, match="no model folder of this project"):
        run(copy, source, tmp_path / "p.csv")


def test_rows_of_a_source_that_has_changed_are_not_kept(model, source, tmp_path, small_parts):
    """The same path and the same ids hold other crystals."""
    changed = tmp_path / source.name
    shutil.copy(source, changed)
    killed_after_two_parts(model, changed, tmp_path / "cut.csv")
    write_crystals(changed, 3.9)
    done, _ = run(model, changed, tmp_path / "cut.csv")
    assert done.resumed == 0
    run(model, changed, tmp_path / "fresh.csv")
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_identity_of_a_source_is_its_content(tmp_path, kind):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.cif").write_text("a")
    (source / "b.cif").write_text("b")
    out = source / "out.csv"
    asked = source / "a.cif" if kind == "file" else source
    before = content_sha256(asked, apart_from=out)
    for name in ("out.csv.partial", "out.csv", ".out.csv.lock"):
        (source / name).write_text("rows")
    assert content_sha256(asked, apart_from=out) == before
    times = (source / "a.cif").stat()
    (source / "a.cif").write_text("c")
    os.utime(source / "a.cif", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content_sha256(asked, apart_from=out) != before


@pytest.mark.parametrize("name", ["out.csv.partial", "out.csv.partial.json"])
def test_foreign_files_of_a_partial_tables_names_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FoldwiseError, match=name):
        PartialTable(tmp_path / "out.csv", "work")
    assert (tmp_path / name).read_text() == "mine"


DAMAGE = [None, [], {}, "x", -1, 1e400, [None], {"file": "x"}, True]


@pytest.mark.parametrize("key", ["members", "training", "views", "interval", "intensive"])
def test_any_value_of_a_models_config_is_read_or_refused(model, tmp_path, key):
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    whole = json.loads((copy / "config.json").read_text())
    inner = whole[key] if isinstance(whole[key], dict) else {}
    damaged = [{**whole, key: value} for value in DAMAGE]
    damaged += [{**whole, key: {**inner, name: value}} for name in inner for value in DAMAGE]
    damaged += [{name: value for name, value in whole.items() if name != key}]
    refused = 0
    for config in damaged:
        (copy / "config.json").write_text(json.dumps(config))
        try:
            open_model(copy)
        except FoldwiseError as error:
            refused += str(copy) in error.where
    assert refused >= 1


@pytest.mark.parametrize("cell", ["nan", "inf", "x", "", "1e999"])
def test_a_damaged_calibration_is_refused(model, tmp_path, cell):
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    lines = (copy / "calibration.csv").read_text().splitlines()
    lines[3] = f"0,{cell}"
    (copy / "calibration.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(FoldwiseError, match=r"calibration\.csv"):
        open_model(copy)
    (copy / "calibration.csv").write_text("\n".join(lines[:3]) + "\n")
    with pytest.raises(FoldwiseError, match=r"calibration\.csv"):
        open_model(copy)
