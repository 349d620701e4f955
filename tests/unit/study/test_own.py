"""From a user's crystals to a study: what is found, what is left out, and what is refused."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import ase.io
import pandas as pd
import pytest
import yaml
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from crystal_files import run_script, spec
from foldwise.common.errors import FoldwiseError
from foldwise.study.defaults import recipes
from foldwise.study.own import OwnStudy, make_own_study
from foldwise.tasks.dataset import prepare_dataset
from foldwise.tasks.formats.reader import open_structures
from foldwise.tasks.own.collect import collect
from foldwise.tasks.own.kinds import target_kind
from foldwise.tasks.own.values import Quantity
from paths import REPOSITORY
from refusals import message

TEN = REPOSITORY / "tests" / "data" / "ten_crystals"
TARGETS = TEN.with_name("ten_crystals.csv")
DEFAULTS = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
GIVEN = OwnStudy(
    structures=TEN,
    targets=TARGETS,
    quantity=Quantity("e_form", "eV/atom"),
    name="mine",
    id_column=None,
    structure_column=None,
    split=None,
    split_column=None,
    max_atoms=1000,
)


def made(root, replaced=False, **changes):
    return make_own_study(replace(GIVEN, **changes), DEFAULTS, root, replace=replaced, workers=1)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    return root, made(root)


def test_the_call_in_the_config_names_every_option(tmp_path):
    """Else it would not make the same study again."""
    rows = pd.read_csv(TARGETS).rename(columns={"id": "name of row"})
    rows["my cif"] = [(TEN / f"{name}.cif").read_text() for name in rows["name of row"]]
    table = tmp_path / "table.csv"
    rows.to_csv(table, index=False)
    options = {"id_column": "name of row", "structure_column": "my cif", "max_atoms": 500}
    made(tmp_path / "first", structures=table, targets=None, **options)
    written = (tmp_path / "first" / "config" / "mine.yaml").read_text()
    line = next(line for line in written.splitlines() if "new_study.py" in line)
    for given in ("--id-column 'name of row'", "--structure-column 'my cif'", "--max-atoms 500"):
        assert given in line


def test_the_dataset_is_read_by_the_study_with_every_crystal_and_target(mine, tmp_path):
    root, _ = mine
    folder = root / "data" / "own" / "mine"
    config = yaml.safe_load((root / "config" / "mine.yaml").read_text())["datasets"]["mine"]
    options = {"target": config["column"], "sha256": config["sha256"]}
    card = prepare_dataset(spec(root / config["path"], **options), tmp_path)
    assert (card["n_accepted"], card["n_failed"]) == (10, 0)
    table = pd.read_parquet(tmp_path / "targets.parquet").set_index("id")["target"]
    truth = pd.read_csv(TARGETS).set_index("id")["e_form"]
    assert table.to_dict() == truth.to_dict()
    content = json.loads(gzip.decompress((folder / "crystals.json.gz").read_bytes()))
    for name, (structure, _) in zip(content["index"], content["data"], strict=True):
        stored, file = Structure.from_dict(structure), Structure.from_file(TEN / f"{name}.cif")
        assert stored.composition == file.composition
        assert stored.volume == pytest.approx(file.volume, rel=1e-9)
    assert (pd.read_csv(folder / "columns.csv").columns == ["id", "batch"]).all()


def test_what_was_found_is_what_is_there(mine):
    root, report = mine
    values = pd.read_csv(TARGETS)["e_form"]
    structures = [Structure.from_file(path) for path in TEN.glob("*.cif")]
    elements = {element for structure in structures for element in structure.elements}
    assert "10 taken, 0 rejected" in report
    assert f"elements    {len(elements)}:" in report
    assert f"mean {values.mean():.4g}, standard deviation {values.std(ddof=0):.4g}" in report
    assert "2 rows share a formula with another row, 0 a structure" in report
    assert report.splitlines()[-1].endswith(
        "snakemake --cores 2 --configfile config/mine.yaml -- results/mine/e0/results.json"
    )
    assert report.split("\n\n")[0] in (root / "data/own/mine/README.txt").read_text()


def test_the_same_input_gives_the_same_bytes_and_nothing_is_replaced_unasked(mine, tmp_path):
    root, report = mine
    assert made(tmp_path) == report
    for path in ("data/own/mine/crystals.json.gz", "data/own/mine/columns.csv"):
        assert (root / path).read_bytes() == (tmp_path / path).read_bytes()
    assert "it is there already. Take another --name, or --replace." in message(made, tmp_path)
    assert made(tmp_path, replaced=True) == report
    (tmp_path / "config/mine.yaml").write_text("run: other\n")
    assert "this program did not write it" in message(made, tmp_path, True)


def test_targets_may_stand_beside_the_structures(tmp_path):
    frames = []
    for row in pd.read_csv(TARGETS).itertuples():
        atoms = AseAtomsAdaptor.get_atoms(
            Structure.from_file(TEN / f"{row.id}.cif"), msonable=False
        )
        atoms.info = {"id": row.id, "e_form": row.e_form, "year": 2000 + len(frames)}
        frames.append(atoms)
    ase.io.write(tmp_path / "ten.xyz", frames, format="extxyz")
    report = made(
        tmp_path, structures=tmp_path / "ten.xyz", targets=None, split="time", split_column="year"
    )
    assert "10 taken, 0 rejected" in report
    written = yaml.safe_load((tmp_path / "config/mine.yaml").read_text())
    assert written["splits"] == {
        "kind": "time", "table": "data/own/mine/columns.csv", "column": "year", "folds": 5,
        "holdouts": 4,
    }  # fmt: skip
    assert written["recipes"] == recipes(10, 5, 4)


def test_rows_that_cannot_be_used_are_named_and_counted(tmp_path):
    cifs = shutil.copytree(TEN, tmp_path / "cifs")
    lonely = Structure(Lattice.cubic(9.9), ["He"], [[0, 0, 0]])
    lonely.to_file(str(cifs / "lonely.cif"))
    text = (cifs / "mp-390.cif").read_text()
    (cifs / "half.cif").write_text(text.replace("1.0\n", "0.5\n").replace("  1\n", "  0.5\n"))
    (cifs / "extra.cif").write_text(text)
    (cifs / "notes.txt").write_text("")
    table = pd.read_csv(TARGETS, dtype=str)
    table.loc[table["id"] == "mp-661", "e_form"] = "NaN"
    table.loc[table["id"] == "mp-984", "e_form"] = "-1.47 eV/atom"
    more = pd.DataFrame({"id": ["lonely", "half", "absent"], "e_form": ["0", "0", "1"]})
    pd.concat([table, more]).to_csv(tmp_path / "t.csv", index=False)
    report = made(tmp_path, structures=cifs, targets=tmp_path / "t.csv")
    rejected = pd.read_csv(tmp_path / "data/own/mine/rejected.csv").set_index("id")["reason"]
    assert rejected.to_dict() == {
        "half": "partial occupancy",
        "extra": "structure without a target",
        "mp-661": "target is not a finite number",
        "lonely": "CHGNet cannot take it",
        "absent": "target without a structure",
    }
    assert "14 in a folder of structure files: 9 taken, 5 rejected" in report
    assert "1 other file(s) passed over, the first is notes.txt" in report
    assert f"mp-661: target is not a finite number (NaN), {tmp_path}/t.csv row 3" in report


def test_one_structure_with_two_targets_is_pointed_out(tmp_path):
    cifs = shutil.copytree(TEN, tmp_path / "cifs")
    shutil.copy(cifs / "mp-390.cif", cifs / "twin.cif")
    (tmp_path / "t.csv").write_text(TARGETS.read_text() + "twin,-3.0,A\n")
    report = made(tmp_path, structures=cifs, targets=tmp_path / "t.csv")
    assert "4 rows share a formula with another row, 2 a structure" in report
    assert "mp-390 and twin are one structure; their targets differ by 0.5124 eV/atom" in report


def table_with(old, new):
    return lambda text: text.replace(old, new)


REFUSED = {
    "mixed units": (
        table_with("-1.47154945", "-142 kJ/mol"), {},
        "t.csv row 4: the unit is 'kJ/mol', and --unit says 'eV/atom'",
    ),
    "a column of units": (
        lambda text: text.replace("batch", "unit").replace(",B", ",eV").replace(",A", ",eV/atom"),
        {}, "t.csv row 4: the unit is 'eV', and --unit says 'eV/atom'",
    ),
    "an id twice": (
        lambda text: text + "mp-390,1,A\n", {}, "row 12: 'mp-390' has a target already, in",
    ),
    "no such column": (str, {"quantity": Quantity("gap", "eV")}, "row 2: there is no column 'gap'"),
    "no id matches": (table_with("mp-", "MP"), {}, "the first target's is 'MP390'"),
    "no rows": (lambda text: text[:text.index("\n")], {}, "there is no row in it"),
    "one value": (
        lambda text: "id,e_form\n" + "".join(f"{p.stem},1\n" for p in TEN.glob("*.cif")),
        {}, "all 10 targets are 1",
    ),
    "a name of ours": (str, {"name": "e0"}, "--name: 'e0' cannot name a study"),
    "a bad name": (str, {"name": "../x"}, "--name: '../x' cannot name a study"),
    "a split without its column": (str, {"split": "time"}, "--split time needs a column"),
    "too few units": (
        table_with(",E", ",D"), {"split": "column", "split_column": "batch"},
        "4 group(s) by value of 'batch' cannot make 5 folds",
    ),
    "no such split column": (
        str, {"split": "column", "split_column": "paper"}, "t.csv: there is no column 'paper'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_one_line_and_leaves_nothing(mistake, tmp_path):
    change, given, told = REFUSED[mistake]
    (tmp_path / "t.csv").write_text(change(TARGETS.read_text()))
    root = tmp_path / "root"
    root.mkdir()
    changes = {"targets": tmp_path / "t.csv", **given}
    assert told in message(lambda: made(root, **changes))
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_a_table_that_is_not_utf8_names_its_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(TARGETS.read_bytes() + "müll,1,A\n".encode("latin-1"))
    told = message(lambda: made(tmp_path, targets=tmp_path / "t.csv"))
    assert "t.csv line 12: the encoding is not UTF-8 (byte 0xfc)" in told


@pytest.mark.parametrize(
    ("unit", "transform"),
    [("eV/atom", "element_reference"), ("meV/atom", "auto"), ("eV", "auto"),
     ("GPa", "auto"), ("log10(GPa)", "auto"), ("1/cm", "auto")],
)  # fmt: skip
def test_the_unit_decides_the_transform(unit, transform):
    kind = target_kind("y", unit, [0.1, 5.0, 0.3, 2.0], [2, 4, 8, 16])
    assert (kind.intensive, kind.transform) == (True, transform)


def test_a_sum_over_atoms_and_a_class_are_told_by_their_values():
    kind = target_kind("energy", "eV", [-8.1, -16.0, -32.5, -63.9], [2, 4, 8, 16])
    assert (kind.intensive, kind.transform) == (False, "auto")
    assert "grows with the number of atoms (correlation 1.00)" in kind.why
    kind = target_kind("is_metal", "class", [0.0, 1.0, 1.0], [1, 2, 3])
    assert (kind.intensive, kind.transform) == (True, "logistic")


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.0], [0.0, 1.0, 2.0]])
def test_classes_that_are_not_0_and_1_are_no_numbers(values):
    with pytest.raises(FoldwiseError, match="0 and 1"):
        target_kind("phase", "class", values, [1, 2, 3])


def test_rows_without_the_target_are_rejected_and_a_column_that_no_row_has_stops(tmp_path):
    line = '{{"id": "{name}", "e": {value}, "cif": {cif}}}'
    cif = {path.stem: json.dumps(path.read_text()) for path in sorted(TEN.glob("*.cif"))}
    lines = [line.format(name=name, value=at / 7, cif=cif[name]) for at, name in enumerate(cif)]
    lines[3] = lines[3].replace('"e": ', '"f": ')
    lines[5] = lines[5].replace('"e": ', '"e": 1e300, "g": ')
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    source = open_structures(tmp_path / "t.jsonl")
    found = collect(source, None, Quantity("e", "eV"), tmp_path)
    assert len(found.ids) == 8
    assert {row.detail for row in found.rejected} == {"empty", "1e+300"}
    with pytest.raises(FoldwiseError, match="there is no column 'h'"):
        collect(source, None, Quantity("h", "eV"), tmp_path)


@pytest.mark.slow  # buys: the program as a user calls it
def test_the_program_prints_the_findings_and_answers_mistakes_with_exit_code_2(tmp_path):
    (tmp_path / "config").mkdir()
    shutil.copy(REPOSITORY / "config" / "config.yaml", tmp_path / "config")
    call = ("--structures", TEN, "--targets", TARGETS, "--unit", "eV/atom", "--root", tmp_path)
    done = run_script("new_study.py", *call, "--target", "e_form", "--name", "mine")
    assert done.returncode == 0, done.stderr
    assert "10 taken, 0 rejected" in done.stdout
    wrong = run_script("new_study.py", *call, "--target", "gap", "--name", "other")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert not (tmp_path / "config" / "other.yaml").exists()


def test_the_page_shows_what_the_program_prints(mine):
    page = Path(REPOSITORY / "docs" / "own-data.md").read_text()
    shown = page.split("<!-- what new_study.py prints -->\n```\n")[1].split("```")[0]
    assert shown == mine[1]
