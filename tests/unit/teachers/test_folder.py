"""What a program gets: every structure, and no target of a row that it shall answer."""

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from foldwise.common.files import read_parquet, write_parquet
from foldwise.crystals.files import read_structures


def opened(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_folder_holds_the_rows_with_the_targets_of_training_rows_alone(fold):
    files = opened(fold.write_job(cif=True, options={"trees": 3}))
    rows = pd.read_csv(io.BytesIO(files["rows.csv"]), index_col="id")
    assert rows.groupby("part", sort=False).size().to_dict() == {
        "fit": 12, "validate": 4, "answer": 4,
    }  # fmt: skip
    assert rows.index[rows["part"] == "validate"].tolist() == fold.held
    assert rows.index[rows["part"] == "answer"].tolist() == fold.test
    assert rows.loc[fold.test, "target"].isna().all()
    known = dict(zip(fold.ids, fold.target, strict=True))
    given = rows.drop(index=fold.test)["target"]
    np.testing.assert_array_equal(given, [known[name] for name in given.index])
    job = json.loads(files["job.json"])
    assert job["options"] == {"trees": 3}
    assert (job["target"], job["unit"], job["seed"]) == ("formation energy", "eV/atom", 0)


def test_structures_are_those_of_the_task(fold):
    files = opened(fold.write_job(cif=True))
    content = json.loads(gzip.decompress(files["structures.json.gz"]))
    assert sorted(content["index"]) == sorted(fold.ids)
    ids, crystals = read_structures(fold.root / "structures.npz")
    arrays = dict(zip(ids, crystals, strict=True))
    for name, (cell,) in zip(content["index"], content["data"], strict=True):
        structure = Structure.from_dict(cell)
        np.testing.assert_allclose(structure.lattice.matrix, arrays[name].lattice, atol=1e-12)
        assert [site.specie.Z for site in structure] == arrays[name].numbers.tolist()
    text = files[f"cif/{fold.test[0]}.cif"].decode()
    assert len(Structure.from_str(text, fmt="cif")) == len(arrays[fold.test[0]].numbers)


def test_other_test_targets_give_the_same_bytes(fold):
    """Nothing of them is in the folder, in whatever form."""
    before = fold.write_job("before.zip").read_bytes()
    path = fold.root / "targets.parquet"
    table = read_parquet(path, ("id", "target"))
    poisoned = table.copy()
    poisoned.loc[poisoned["id"].isin(fold.test), "target"] = 1e5
    write_parquet(path, poisoned)
    try:
        assert fold.write_job("after.zip").read_bytes() == before
    finally:
        write_parquet(path, table)
