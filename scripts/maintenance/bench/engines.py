"""The same work for stock CHGNet and for this engine: steps, passes, conversions, whole fits."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from chgnet.graph.converter import CrystalGraphConverter
from chgnet.graph.crystalgraph import CrystalGraph
from chgnet.model.model import CHGNet
from numpy.typing import NDArray
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from torch import Tensor

from foldwise.common.progress import ProgressLog
from foldwise.crystals.files import write_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.graphs.conversion import build_store
from foldwise.graphs.sources import BatchSource, ResidentStore
from foldwise.graphs.store import GraphStore
from foldwise.network.acceleration import accelerate, mean_size
from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.chgnet import FlatCHGNet
from foldwise.network.machine import EngineSettings
from foldwise.network.transform import compositions, fit_transform
from foldwise.study.recipe import Recipe
from foldwise.training.fit import Training, fit
from foldwise.training.samples import Samples
from foldwise.training.trainer import Problem
from maintenance.bench.rows import Work

LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Data:
    """Structures in both engines' forms, and their targets.

    Attributes:
        structures: pymatgen structures, for stock CHGNet.
        graphs: Its graphs.
        crystals: The same crystals as arrays.
        store: This engine's graphs, on the device.
        unit: Mean atoms, edges, short edges and angles of a crystal, [4].
        targets: eV/atom, float32, [n].
    """

    structures: list[Structure]
    graphs: list[CrystalGraph]
    crystals: list[CrystalArrays]
    store: BatchSource
    unit: NDArray[np.float64]
    targets: Tensor


def load_data(
    crystals: list[CrystalArrays], targets: NDArray[np.float64], device: torch.device
) -> Data:
    """Convert the crystals with both converters."""
    structures = [
        Structure(Lattice(crystal.lattice), crystal.numbers.tolist(), crystal.frac)
        for crystal in crystals
    ]
    convert = CrystalGraphConverter()
    with TemporaryDirectory() as folder:
        store = _build(crystals, Path(folder), workers=1)
        resident, unit = ResidentStore(store, device), mean_size(store)
    return Data(
        structures=structures,
        graphs=[convert(structure).to(device.type) for structure in structures],
        crystals=crystals,
        store=resident,
        unit=unit,
        targets=torch.from_numpy(targets).float().to(device),
    )


def _build(crystals: list[CrystalArrays], folder: Path, workers: int) -> GraphStore:
    ids = [f"c{number}" for number in range(len(crystals))]
    write_structures(folder / "structures.npz", ids, crystals)
    build_store(folder / "structures.npz", folder / "graphs", workers)
    return GraphStore.open(folder / "graphs")


def stock_model(device: torch.device) -> CHGNet:
    """Pretrained stock CHGNet without its composition model."""
    with contextlib.redirect_stdout(io.StringIO()):
        model = CHGNet.load(use_device=device.type, verbose=False)
    model.composition_model = None  # type: ignore[assignment]
    return model


def flat_model(device: torch.device) -> FlatCHGNet:
    """The same network in this engine."""
    return new_network("chgnet", "pretrained").to(device)


def batches_of(count: int, batch_size: int) -> list[list[int]]:
    """Positions of full batches, in order."""
    return [
        list(range(start, start + batch_size))
        for start in range(0, count - batch_size + 1, batch_size)
    ]


@dataclass
class Steps:
    """One pass of Adam steps on the mean absolute error over the batches.

    Attributes:
        energies: Of a batch.
        parameters: What is trained.
        targets: Of all structures.
        batches: Their rows.
        backward_over_forward: CPU time of the backward passes over that of the forward passes, one
            per pass over the batches; it means nothing on a GPU.
    """

    energies: Callable[[list[int]], Tensor]
    parameters: list[torch.nn.Parameter]
    targets: Tensor
    batches: list[list[int]]
    backward_over_forward: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._optimiser = torch.optim.Adam(self.parameters, lr=LEARNING_RATE)

    def __call__(self) -> int:
        """Returns the number of structures."""
        forward = backward = 0.0
        for batch in self.batches:
            self._optimiser.zero_grad()
            started = time.process_time()
            loss = (self.energies(batch) - self.targets[batch]).abs().mean()
            between = time.process_time()
            loss.backward()  # type: ignore[no-untyped-call]
            forward += between - started
            backward += time.process_time() - between
            self._optimiser.step()
        self.backward_over_forward.append(backward / forward)
        return sum(map(len, self.batches))


def inference(energies: Callable[[list[int]], Tensor], batches: list[list[int]]) -> Work:
    """One pass without gradients over the batches."""

    def work() -> int:
        with torch.no_grad():
            for batch in batches:
                energies(batch)
        return sum(map(len, batches))

    return work


def stock_energies(model: CHGNet, data: Data) -> Callable[[list[int]], Tensor]:
    """Stock CHGNet on its own graph lists."""
    return lambda batch: model([data.graphs[row] for row in batch], task="e")["e"]


def stock_conversion(data: Data) -> Work:
    """Stock's converter over all structures."""
    convert = CrystalGraphConverter()

    def work() -> int:
        for structure in data.structures:
            convert(structure)
        return len(data.structures)

    return work


def flat_conversion(data: Data, workers: int) -> Work:
    """This engine's conversion to a store on disk."""

    def work() -> int:
        with TemporaryDirectory() as folder:
            _build(data.crystals, Path(folder), workers)
        return len(data.crystals)

    return work


def stock_fit(data: Data, epochs: int, batch_size: int, device: torch.device) -> Work:
    """Conversion, `epochs` passes with a validation of a tenth each, and a checkpoint."""
    held_out = len(data.structures) // 10

    def work() -> int:
        convert = CrystalGraphConverter()
        graphs = [convert(structure).to(device.type) for structure in data.structures]
        model = stock_model(device)

        def energies(batch: list[int]) -> Tensor:
            energy: Tensor = model([graphs[row] for row in batch], task="e")["e"]
            return energy

        rows = range(held_out, len(graphs))
        batches = [list(rows[at : at + batch_size]) for at in range(0, len(rows), batch_size)]
        train = Steps(energies, list(model.parameters()), data.targets, batches)
        validate = inference(energies, [list(range(held_out))])
        for _ in range(epochs):
            train()
            validate()
        with TemporaryDirectory() as folder:
            torch.save(model.state_dict(), Path(folder) / "model.pt")
        return epochs * len(rows)

    return work


def flat_fit(data: Data, epochs: int, batch_size: int, device: torch.device) -> Work:
    """The same work through this engine's own training loop."""
    held_out = len(data.structures) // 10
    targets = data.targets.cpu().numpy().astype(np.float64)

    def work() -> int:
        with TemporaryDirectory() as name:
            folder = Path(name)
            store = _build(data.crystals, folder, workers=1)
            network = flat_model(device)
            settings = EngineSettings(compiled="yes")
            accelerate(network, store, settings, passes=epochs * len(store))
            rows = np.arange(held_out, len(store), dtype=np.int64)
            absent = np.full(len(rows), np.nan)
            composition = compositions(store)
            transform = fit_transform(
                "element_reference", composition[rows], targets[rows], np.zeros(len(rows))
            )
            recipe = Recipe(epochs=epochs, batch_size=batch_size, patience=epochs)
            problem = Problem(
                store=ResidentStore(store, device),
                ids=store.ids,
                composition=composition,
                samples=Samples(rows, targets[rows], absent, np.ones(len(rows))),
                validation_rows=np.arange(held_out, dtype=np.int64),
                validation_targets=targets[:held_out],
                transform=transform,
                recipe=recipe,
                seed=0,
            )
            with io.StringIO() as silent:
                log = ProgressLog(silent, 1)
                fit(Training(network, problem, folder / "state.pt", "bench", log))
            save_model(folder / "model.safetensors", TrainedModel("chgnet", network, transform))
        return epochs * len(rows)

    return work
