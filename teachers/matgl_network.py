"""A teacher: a graph network of MatGL (TensorNet, MEGNet or M3GNet), from random or given weights.

`--weights mine/state.pt` starts from a model that MatGL saved (`model.save("mine")` writes
`state.pt`, `model.pt` and `model.json`): a network of these kinds, alone, with its target's
transform, or within a potential.

Options: `network`, `architecture` (arguments of the network's class, beside those below), `epochs`,
`batch_size`, `lr` (peak of one cycle). The network answers what a linear reference of the elements
leaves of the target, and keeps the weights of the epoch with the smallest error on the rows to
validate. Where its time would not do for another epoch, it stops before.
"""

import argparse
import gzip
import json
import logging
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import matgl
import numpy as np
import pandas as pd
import torch
from matgl import models
from matgl.apps.pes import Potential
from matgl.ext.pymatgen import Structure2Graph
from pymatgen.core import Element, Structure
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

NETWORKS = {
    "TensorNet": {"cutoff": 4.0, "units": 32, "nblocks": 2},
    "MEGNet": {"cutoff": 5.0},
    "M3GNet": {"cutoff": 5.0, "threebody_cutoff": 4.0},
}
DEFAULTS = {"network": "TensorNet", "architecture": {}, "epochs": 30, "batch_size": 32, "lr": 2e-3}
ELEMENTS = tuple(Element.from_Z(number).symbol for number in range(1, 119))
RIDGE = 1e-2  # of the reference: an element in one crystal alone is not taken at its word
PARTS = ("state.pt", "model.pt", "model.json")
SHARE_OF_TIME = 0.8  # of the budget, for the training


def made(options):
    """A network with random weights."""
    kind = options["network"]
    if kind not in NETWORKS:
        raise SystemExit(f"option network is {kind!r}; it is one of {', '.join(NETWORKS)}")
    told = NETWORKS[kind] | options["architecture"]
    return getattr(models, kind)(element_types=ELEMENTS, **told)


def loaded(path):
    """A network with weights that MatGL saved, and what its output is to be multiplied by."""
    folder = Path(path).parent
    absent = [name for name in PARTS if not (folder / name).is_file()]
    if absent:
        raise SystemExit(f"there is no {absent[0]} in {folder}; write it by model.save of MatGL")
    model = matgl.load_model(folder)
    network, gain = model, 1.0
    if isinstance(model, Potential):
        network, gain = model.model, float(model.data_std)
    kind = type(inner(network)).__name__
    if kind not in NETWORKS:
        raise SystemExit(f"{path} is of a {kind}; {', '.join(NETWORKS)} can be gone on with")
    return network, gain


def inner(network):
    """The network itself, where it is wrapped with a transform of its target."""
    return network.model if isinstance(network, models.TransformedTargetModel) else network


def graphs(structures, network):
    """A graph of every crystal; `crystal` is its number in the list."""
    core = inner(network)
    unknown = {str(one) for crystal in structures for one in crystal.composition}
    unknown -= set(core.element_types)
    if unknown:
        raise SystemExit(f"these weights know no {min(unknown)}, which a crystal holds")
    convert = Structure2Graph(element_types=core.element_types, cutoff=core.cutoff).get_graph
    found = []
    for number, crystal in enumerate(structures):
        graph, lattice, _ = convert(crystal)
        found.append(
            Data(
                node_type=graph.node_type,
                edge_index=graph.edge_index.long(),
                pos=graph.frac_coords @ lattice[0],
                pbc_offshift=graph.pbc_offset @ lattice[0],
                crystal=number,
                num_nodes=len(crystal),
            )
        )
    return found


def said(network, batch):
    """What the network says of every crystal of a batch, per atom."""
    core, count = inner(network), batch.num_graphs
    labelled = getattr(getattr(core, "embedding", None), "ntypes_state", None)
    state = torch.zeros(count, dtype=torch.long) if labelled else torch.zeros(count, 2)
    values = network(g=batch, state_attr=state.to(batch.pos.device)).reshape(-1)
    if getattr(core, "is_intensive", True):
        return values
    return values / torch.bincount(batch.batch, minlength=count)


@torch.no_grad()
def answers(network, batches, count, device):
    """What the network says of every crystal, per atom."""
    network.eval()
    found = torch.zeros(count)
    for batch in batches:
        own = said(network, batch.to(device))
        found[batch.crystal.cpu()] = own.float().cpu()
    return found


def reference(shares, values, fit):
    """What the shares of the elements say of every crystal's value: ridge regression."""
    mean = values[fit].mean()
    weights = np.linalg.solve(
        shares[fit].T @ shares[fit] + RIDGE * np.eye(shares.shape[1]),
        shares[fit].T @ (values[fit] - mean),
    )
    return shares @ weights + mean


def composition(structures):
    """Shares of the elements in every crystal."""
    table = np.zeros((len(structures), len(ELEMENTS)))
    for row, crystal in zip(table, structures, strict=True):
        for element, share in crystal.composition.fractional_composition.items():
            row[Element(str(element)).Z - 1] = share
    return table


@dataclass
class Task:
    """Targets and reference of every crystal, per atom, and numbers of their scale."""

    target: torch.Tensor
    reference: torch.Tensor
    gain: float  # of the network's output
    spread: float  # of what the reference leaves

    def answers(self, output, rows):
        """What a network's output for these crystals means."""
        return self.gain * output + self.reference[rows]


def train(network, fitted, checked, task, *, options, stop_at, device):
    """Train in one cycle of the learning rate; the history, and why it ended early, if so.

    The network is left with the weights of its best epoch.
    """
    rows = torch.cat([batch.crystal for batch in checked]).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options["lr"], weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options["lr"], total_steps=options["epochs"] * len(fitted), pct_start=0.1
    )
    history, best, kept, early = [], np.inf, None, None
    began = time.monotonic()
    for epoch in range(1, options["epochs"] + 1):
        if time.monotonic() + (time.monotonic() - began) / max(epoch - 1, 1) > stop_at:
            early = f"no time for epoch {epoch} of {options['epochs']}"
            break
        network.train()
        errors = []
        for batch in fitted:
            optimizer.zero_grad()
            own = said(network, batch.to(device))
            wrong = (task.answers(own, batch.crystal) - task.target[batch.crystal]).abs()
            (wrong.mean() / task.spread).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            errors.append(wrong.detach())
            if time.monotonic() > stop_at:  # a first epoch of unknown length, or a slower one
                early = f"no time for all of epoch {epoch} of {options['epochs']}"
                break
        own = answers(network, checked, len(task.target), device).to(device)[rows]
        error = float((task.answers(own, rows) - task.target[rows]).abs().mean())
        history.append((epoch, float(torch.cat(errors).mean()), error))
        print(f"epoch {epoch}: {history[-1][1]:.4f} fitted, {error:.4f} validated", flush=True)
        if error < best:
            best = error
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        if early:
            break
    if kept is None:
        raise SystemExit(early or "the error on the rows to validate was no number in any epoch")
    network.load_state_dict(kept)
    return history, early


def main():
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="state.pt of a model that MatGL saved")
    weights = parser.parse_args().weights
    warnings.simplefilter("ignore")
    logging.getLogger("matgl").setLevel(logging.ERROR)

    job = json.loads(Path("job.json").read_text())
    strange = set(job["options"]) - set(DEFAULTS)
    if strange:
        raise SystemExit(f"there is no option {min(strange)!r}; {', '.join(DEFAULTS)} are known")
    options = DEFAULTS | job["options"]
    torch.manual_seed(job["seed"])
    torch.set_num_threads(job["threads"])
    device = job["device"]

    rows = pd.read_csv(job["rows"], index_col="id", dtype={"id": str})
    content = json.loads(gzip.decompress(Path(job["structures"]).read_bytes()))
    order = {name: at for at, name in enumerate(content["index"])}
    structures = [Structure.from_dict(content["data"][order[name]][0]) for name in rows.index]
    fit, validate = ((rows["part"] == name).to_numpy() for name in ("fit", "validate"))
    size = np.array([1 if job["intensive"] else len(crystal) for crystal in structures])
    target = rows["target"].to_numpy() / size  # what is learnt is a value per atom

    network, gain = loaded(weights) if weights else (made(options), None)
    network = network.float().to(device)
    every = graphs(structures, network)
    batch_size = options["batch_size"]
    asked = DataLoader(every, batch_size=4 * batch_size)
    own = np.zeros(len(rows))
    if weights:  # the reference is fitted to what the given weights leave of the target
        own = gain * answers(network, asked, len(rows), device).double().numpy()
    shift = reference(composition(structures), target - own, fit)
    spread = float(np.std((target - own - shift)[fit])) or 1.0
    gain = gain or spread

    told = (torch.tensor(values, dtype=torch.float32, device=device) for values in (target, shift))
    history, early = train(
        network,
        DataLoader([every[at] for at in np.flatnonzero(fit)], batch_size=batch_size, shuffle=True),
        DataLoader([every[at] for at in np.flatnonzero(validate)], batch_size=4 * batch_size),
        Task(*told, gain, spread),
        options=options,
        stop_at=started + SHARE_OF_TIME * job["time_budget_seconds"],
        device=device,
    )
    values = gain * answers(network, asked, len(rows), device).double().numpy() + shift
    answered = {"id": rows.index[~fit], "prediction": (values * size)[~fit]}
    pd.DataFrame(answered).to_parquet("predictions.parquet")
    table = pd.DataFrame(history, columns=["epoch", "train_mae", "val_mae"])
    table.to_csv("history.csv", index=False)
    facts = {
        "network": type(inner(network)).__name__,
        "parameters": sum(one.numel() for one in network.parameters()),
        "weights": "given" if weights else "random",
        "best_epoch": int(table.loc[table["val_mae"].idxmin(), "epoch"]),
        "epochs": len(table),
        "ended_early": early,
    }
    Path("fit.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
