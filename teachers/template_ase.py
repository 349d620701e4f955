"""A teacher in forty lines, for a user of ASE: replace `describe` and the model.

Its recipe says `cif: true`, so that every crystal is a CIF file. Features are volume per atom, mean
and spread of the atomic masses, and the shortest distance; the model is ridge regression.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from ase.io import read
from ase.neighborlist import neighbor_list


def describe(atoms):
    """Features of one crystal, Å and u."""
    distances = neighbor_list("d", atoms, cutoff=6.0)
    masses = atoms.get_masses()
    shortest = distances.min() if len(distances) else 6.0
    return [atoms.get_volume() / len(atoms), masses.mean(), masses.std(), shortest]


def main():
    job = json.loads(Path("job.json").read_text())  # the working folder is the job's
    rows = pd.read_csv(job["rows"], index_col="id", dtype={"id": str})  # part, target
    crystals = [read(Path(job["cif"]) / f"{name}.cif") for name in rows.index]
    features = np.array([describe(one) for one in crystals])

    fit = (rows["part"] == "fit").to_numpy()
    mean, spread = features[fit].mean(axis=0), features[fit].std(axis=0) + 1e-9
    table = np.hstack([np.ones((len(rows), 1)), (features - mean) / spread])
    target = rows["target"].to_numpy()
    penalty = job["options"].get("ridge", 1e-3) * fit.sum() * np.eye(table.shape[1])
    weights = np.linalg.solve(table[fit].T @ table[fit] + penalty, table[fit].T @ target[fit])

    asked = ~fit  # rows to validate are answered too, and never fitted
    answers = {"id": rows.index[asked], "prediction": table[asked] @ weights}
    pd.DataFrame(answers).to_csv("predictions.csv", index=False)


if __name__ == "__main__":
    main()
