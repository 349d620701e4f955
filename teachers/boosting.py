"""A teacher: features of composition and structure by matminer, and gradient boosting by LightGBM.

Options (`options` of its recipe): `trees` at most, `learning_rate`, `leaves`. The training stops
where the error on the rows to validate has not fallen for 100 trees.
"""

import gzip
import json
import random
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from matminer.featurizers.composition import ElementProperty, Stoichiometry, ValenceOrbital
from matminer.featurizers.structure import DensityFeatures, GlobalSymmetryFeatures
from pymatgen.core import Structure

COMPOSITION = [ElementProperty.from_preset("magpie"), Stoichiometry(), ValenceOrbital()]
STRUCTURE = [DensityFeatures(), GlobalSymmetryFeatures(["spacegroup_num", "n_symmetry_ops"])]
SHELLS = 6  # distances to the nearest atoms, of which mean, spread, shortest and longest are taken


def features(structure):
    """Features of one crystal; what a featurizer cannot say of it is NaN, which trees can take."""
    values = []
    for part, subject in ((COMPOSITION, structure.composition), (STRUCTURE, structure)):
        for featurizer in part:
            try:
                values += featurizer.featurize(subject)
            except Exception:  # noqa: BLE001 (whatever it stumbles over, the rest is known)
                values += [np.nan] * len(featurizer.feature_labels())
    return [*map(float, values), *distances(structure)]


def distances(structure):
    """Statistics over atoms of the distances to their nearest neighbours, Å, and cell shape."""
    lattice = structure.lattice
    size = max(1.0, structure.volume / len(structure)) ** (1 / 3)
    found = []
    for neighbours in structure.get_all_neighbors(3.0 * size):
        near = sorted(other.nn_distance for other in neighbours)[:SHELLS]
        found.append([*near, *[np.nan] * (SHELLS - len(near))])
    table = np.array(found)
    statistics = [fun(table, axis=0) for fun in (np.nanmean, np.nanstd, np.nanmin, np.nanmax)]
    return [*np.concatenate(statistics), *np.sort(lattice.abc) / size, *np.sort(lattice.angles)]


def main():
    job = json.loads(Path("job.json").read_text())
    rows = pd.read_csv(job["rows"], index_col="id", dtype={"id": str})
    content = json.loads(gzip.decompress(Path(job["structures"]).read_bytes()))
    warnings.simplefilter("ignore")
    table = np.array([features(Structure.from_dict(cells[0])) for cells in content["data"]])
    table = pd.DataFrame(table, index=content["index"]).loc[rows.index].to_numpy()
    parts = {name: (rows["part"] == name).to_numpy() for name in ("fit", "validate")}
    target = rows["target"].to_numpy()

    random.seed(job["seed"])
    options = job["options"]
    model = lightgbm.LGBMRegressor(
        objective="l1",
        n_estimators=int(options.get("trees", 3000)),
        learning_rate=float(options.get("learning_rate", 0.05)),
        num_leaves=int(options.get("leaves", 31)),
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        random_state=job["seed"],
        n_jobs=job["threads"],
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(
        table[parts["fit"]],
        target[parts["fit"]],
        eval_set=[(table[parts["validate"]], target[parts["validate"]])],
        eval_metric="l1",
        callbacks=[lightgbm.early_stopping(100, verbose=False)],
    )
    asked = ~parts["fit"]
    answers = {"id": rows.index[asked], "prediction": model.predict(table[asked])}
    pd.DataFrame(answers).to_parquet("predictions.parquet")
    trees = model.best_iteration_ or model.n_estimators_
    Path("fit.json").write_text(json.dumps({"trees": trees, "features": table.shape[1]}))


if __name__ == "__main__":
    main()
