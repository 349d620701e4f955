"""A teacher: kernel ridge regression, or nearest neighbours, on SOAP vectors by DScribe.

Options: `method` (`kernel`, the default, or `neighbours`), `cutoff` (Å), `n_max`, `l_max`,
`neighbours`, and `pca`, the components that are kept of the vectors.

A site is described by its neighbours' densities weighed with numbers of the periodic table
(electronegativity, row, valence) in place of one density per pair of elements, which 89 elements
would make 10,000 times as long. Sites are averaged to one vector per crystal, with those of the
bare composition beside it. The error on the rows to validate chooses width and penalty.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from dscribe.descriptors import SOAP
from pymatgen.core import Element, Structure
from scipy.spatial.distance import cdist

NO_CHI = (2, 10, 18)  # He, Ne, Ar: pymatgen has no electronegativity of them
WIDTHS, PENALTIES, COUNTS = (0.5, 1.0, 2.0), (1e-4, 1e-3, 1e-2, 1e-1), (3, 5, 8, 12)


def traits(number):
    """Numbers of an element: electronegativity, period, group."""
    element = Element.from_Z(int(number))
    chi = 0.0 if number in NO_CHI else element.X
    return np.array([chi if np.isfinite(chi) else 1.3, element.row, element.group], dtype=float)


def classes(numbers, table):
    """Each atom as one of a few kinds, so that SOAP has few species: by electronegativity."""
    return np.digitize([table[number][0] for number in numbers], [1.2, 1.7, 2.2, 2.8])


def describe(structures, options):
    """One vector per crystal: averaged SOAP of kinds of atoms, and statistics of the elements."""
    soap = SOAP(
        species=["H", "He", "Li", "Be", "B"],  # names of the five kinds
        r_cut=float(options.get("cutoff", 5.0)),
        n_max=int(options.get("n_max", 6)),
        l_max=int(options.get("l_max", 4)),
        sigma=0.5,
        average="inner",
        periodic=True,
    )
    table = {number: traits(number) for number in range(1, 95)}
    systems, elements = [], []
    for structure in structures:
        numbers = [site.specie.Z for site in structure]
        kinds = classes(numbers, table) + 1
        # A common density: what SOAP shall see is the arrangement; sizes stand in `elements`.
        scale = (20.0 * len(structure) / structure.volume) ** (1 / 3)
        systems.append(
            Atoms(
                kinds,
                scaled_positions=structure.frac_coords,
                cell=structure.lattice.matrix * scale,
                pbc=True,
            )
        )
        own = np.array([table[number] for number in numbers])
        parts = [own.mean(0), own.std(0), own.min(0), own.max(0), [1 / scale]]
        elements.append(np.concatenate(parts))
    return np.asarray(soap.create(systems)), np.array(elements)


def scaled(parts, fit, components):
    """Both descriptions on one scale: principal components of SOAP, standardised elements."""
    soap, elements = parts
    soap = soap / np.linalg.norm(soap, axis=1, keepdims=True)
    centre = soap[fit].mean(axis=0)
    _, _, axes = np.linalg.svd(soap[fit] - centre, full_matrices=False)
    soap = (soap - centre) @ axes[:components].T
    elements = (elements - elements[fit].mean(0)) / (elements[fit].std(0) + 1e-9)
    return np.hstack(
        [soap / soap[fit].std() / components**0.5, elements / elements.shape[1] ** 0.5]
    )


def kernel(vectors, fit, validate, target):
    """Answers of kernel ridge regression (Laplacian) and what was chosen."""
    far = cdist(vectors, vectors[fit], "cityblock")
    middle, mean = np.median(far), target[fit].mean()
    best = (np.inf, None, None)
    for width in WIDTHS:
        gram = np.exp(-far / (width * middle))
        for penalty in PENALTIES:
            ridge = gram[fit] + penalty * np.eye(fit.sum())
            answers = gram @ np.linalg.solve(ridge, target[fit] - mean) + mean
            error = np.abs(answers - target)[validate].mean()
            if error < best[0]:
                best = (error, answers, {"width": width, "penalty": penalty})
    return best[1], best[2]


def neighbours(vectors, fit, validate, target):
    """Answers of the nearest neighbours, weighed by inverse distance, and what was chosen."""
    far = cdist(vectors, vectors[fit])
    best = (np.inf, None, None)
    for count in COUNTS:
        near = np.argsort(far, axis=1)[:, :count]
        weights = 1 / (np.take_along_axis(far, near, axis=1) + 1e-6)
        answers = (weights * target[fit][near]).sum(axis=1) / weights.sum(axis=1)
        error = np.abs(answers - target)[validate].mean()
        if error < best[0]:
            best = (error, answers, {"neighbours": count})
    return best[1], best[2]


def main():
    job = json.loads(Path("job.json").read_text())
    options = job["options"]
    rows = pd.read_csv(job["rows"], index_col="id", dtype={"id": str})
    content = json.loads(gzip.decompress(Path(job["structures"]).read_bytes()))
    order = {name: at for at, name in enumerate(content["index"])}
    structures = [Structure.from_dict(content["data"][order[name]][0]) for name in rows.index]
    fit, validate = ((rows["part"] == name).to_numpy() for name in ("fit", "validate"))
    vectors = scaled(describe(structures, options), fit, int(options.get("pca", 40)))
    answer = {"kernel": kernel, "neighbours": neighbours}[options.get("method", "kernel")]
    values, chosen = answer(vectors, fit, validate, rows["target"].to_numpy())
    answers = {"id": rows.index[~fit], "prediction": values[~fit]}
    pd.DataFrame(answers).to_parquet("predictions.parquet")
    Path("fit.json").write_text(json.dumps(chosen))


if __name__ == "__main__":
    main()
