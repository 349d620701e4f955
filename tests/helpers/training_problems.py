"""A small training that tests of several rooms run."""

import numpy as np
import torch

from foldwise.graphs.sources import open_batches
from foldwise.network.transform import compositions, fit_transform
from foldwise.study.recipe import Recipe
from foldwise.training.samples import Samples
from foldwise.training.trainer import Problem


def lite_problem(store, epochs, **options):
    """Train on two thirds of a store; the target is the mean atomic number over ten."""
    composition = compositions(store)
    targets = composition @ np.arange(1, 95) / 10
    rows, held_out = np.arange(8, len(store)), np.arange(8)
    recipe = Recipe(
        **{
            "model": "chgnet_lite", "init": "scratch", "epochs": epochs, "batch_size": 8,
            "lr": 5e-3, "loss": "mse", "patience": epochs, **options,
        }
    )  # fmt: skip
    absent = np.full(len(rows), np.nan)
    return Problem(
        store=open_batches(store, torch.device("cpu")),
        ids=store.ids,
        composition=composition,
        samples=Samples(rows, targets[rows], absent, np.ones(len(rows))),
        validation_rows=held_out,
        validation_targets=targets[held_out],
        transform=fit_transform("standardize", composition[rows], targets[rows], absent),
        recipe=recipe,
        seed=0,
    )
