"""The flat engine against stock CHGNet: energies and gradients, on every path.

The oracle is stock CHGNet in double precision: in single precision stock CHGNet differs from
itself in double by up to 5e-6 eV/atom, more than the engine does.
"""

import copy
import gzip
import json
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from chgnet.graph import CrystalGraphConverter
from chgnet.model import CHGNet
from pymatgen.core import Structure

from foldwise.crystals.neighbors import CrystalArrays, build_graph
from foldwise.graphs.batch import GraphBatch
from foldwise.graphs.sources import ResidentStore
from foldwise.graphs.store import GraphColumns, GraphStore, write_store
from foldwise.network.acceleration import Accelerator, mean_size
from foldwise.network.chgnet import MODELS, FlatCHGNet, plain_torch
from foldwise.network.kernels import functions
from foldwise.network.kernels.functions import set_kernel_threads
from foldwise.network.kernels.library import load_kernels
from foldwise.network.weights import from_chgnet, pretrained_state, to_chgnet
from paths import REPOSITORY

N_STRUCTURES = 200
PATHS = ("fused", "torch", "padded")
COMPILED = pytest.param(
    "compiled",
    marks=pytest.mark.slow,  # buys: what torch.compile traces is the same network
)
EVERY_PATH = (*PATHS, COMPILED)
BF16_MEAN, BF16_MAX = 0.003, 0.02  # eV/atom


def mixed_structures():
    """Demo crystals of 1 to 7 atoms, every fourth as a supercell of up to 28; one of 25 atoms."""
    content = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at = content["columns"].index("structure")
    picked = np.random.default_rng(0).choice(len(content["data"]), N_STRUCTURES, replace=False)
    structures = [Structure.from_dict(content["data"][row][at]) for row in picked]
    for number, structure in enumerate(structures):
        if number % 4 == 0:
            structure.make_supercell([2, 2, 1] if number % 8 else [2, 1, 1])
    five = next(structure for structure in structures if len(structure) == 5)
    structures[-1] = five.copy()
    structures[-1].make_supercell([5, 1, 1])
    assert {1, 25} <= {len(structure) for structure in structures}
    return structures


@pytest.fixture(scope="module")
def structures():
    return mixed_structures()


@pytest.fixture(scope="module")
def store(structures, tmp_path_factory):
    crystals = [
        CrystalArrays(
            np.array([site.specie.Z for site in structure], dtype=np.int32),
            structure.frac_coords,
            structure.lattice.matrix,
        )
        for structure in structures
    ]
    folder = tmp_path_factory.mktemp("engine") / "graphs"
    ids = [f"c{number}" for number in range(len(crystals))]
    graphs = GraphColumns.of([build_graph(crystal) for crystal in crystals])
    write_store(folder, ids, crystals, graphs, [])
    return GraphStore.open(folder)


@pytest.fixture(scope="module")
def resident(store):
    return ResidentStore(store, torch.device("cpu"))


@pytest.fixture(scope="module")
def stock():
    """Stock CHGNet in double precision, without its composition model."""
    model = CHGNet.load(use_device="cpu", verbose=False)
    model.composition_model = None
    return model.double()


@pytest.fixture(scope="module")
def stock_graphs(structures):
    convert = CrystalGraphConverter()
    graphs = []
    for structure in structures:
        graph = convert(structure)
        graph.atom_frac_coord = torch.tensor(structure.frac_coords)
        graph.lattice = torch.tensor(structure.lattice.matrix)
        graph.neighbor_image = graph.neighbor_image.double()
        graphs.append(graph)
    return graphs


@pytest.fixture(scope="module")
def stock_energies(stock, stock_graphs):
    return stock(stock_graphs, task="e")["e"].detach().numpy()


@pytest.fixture
def network():
    flat = FlatCHGNet(MODELS["chgnet"])
    flat.load_state_dict(pretrained_state(flat))
    return flat


def traced(function, **_):
    """`torch.compile` up to the code generator, which takes a minute on a CPU."""
    return torch.compile(function, dynamic=True, fullgraph=True, backend="aot_eager")


def uncompiled(function, **_):
    return function


@contextmanager
def on_path(name, network, store):
    """Run a network as a machine would that has a compiler, no compiler, or a GPU."""
    if name == "fused" and load_kernels(64) is None:
        pytest.skip("no C++ compiler")
    compiler = {"padded": uncompiled, "compiled": traced}.get(name)
    if compiler is not None:
        network.accelerator = Accelerator(
            network,
            mean_size(store),
            compiled=True,
            precision="float32",
            graphs=True,
            compiler=compiler,
        )
    with nullcontext() if name == "fused" else plain_torch():
        yield name


@pytest.fixture(params=PATHS)
def path(request, network, store):
    with on_path(request.param, network, store) as name:
        yield name


@pytest.fixture(params=EVERY_PATH)
def every_path(request, network, store):
    with on_path(request.param, network, store) as name:
        yield name


def doubled(batch):
    return GraphBatch(
        *(tensor.double() if tensor.is_floating_point() else tensor for tensor in batch)
    )


@pytest.mark.slow  # buys: stock CHGNet as oracle, on many crystals
def test_energies_in_double_precision_equal_stock(network, resident, stock_energies):
    batch = doubled(resident.batch(torch.arange(N_STRUCTURES)))
    with torch.no_grad():
        energies = network.double()(batch).numpy()
    assert np.abs(energies - stock_energies).max() < 2e-6


@pytest.mark.slow  # buys: the same in the precision of a training
def test_energies_in_single_precision_are_as_close_as_stock_itself(
    network, resident, stock_energies, stock_graphs, every_path
):
    with torch.no_grad():
        energies = network(resident.batch(torch.arange(N_STRUCTURES))).numpy()
    single = CHGNet.load(use_device="cpu", verbose=False)
    single.composition_model = None
    graphs = [copy.copy(graph) for graph in stock_graphs]
    for graph in graphs:
        graph.atom_frac_coord = graph.atom_frac_coord.float()
        graph.lattice = graph.lattice.float()
        graph.neighbor_image = graph.neighbor_image.float()
    own = np.abs(single(graphs, task="e")["e"].detach().numpy() - stock_energies)
    ours = np.abs(energies - stock_energies)
    assert ours.max() < max(2e-6, own.max())
    assert np.median(ours) < 5e-7


@pytest.mark.slow  # buys: the bound of bfloat16, on the whole network
def test_bfloat16_stays_within_its_own_bound(network, resident, store, stock_energies):
    network.accelerator = Accelerator(
        network, mean_size(store), compiled=False, precision="bf16", graphs=False
    )
    with plain_torch(), torch.no_grad():
        energies = network(resident.batch(torch.arange(N_STRUCTURES)))
    assert energies.dtype == torch.float32
    error = np.abs(energies.numpy() - stock_energies)
    assert 1e-4 < error.mean() < BF16_MEAN  # below it, nothing was shortened
    assert error.max() < BF16_MAX


def test_gradients_equal_stock(network, resident, stock, stock_graphs, every_path):
    rows = np.r_[0:24, N_STRUCTURES - 1]
    targets = torch.linspace(-3, 1, len(rows))
    loss = (network(resident.batch(torch.from_numpy(rows))) - targets).abs().mean()
    loss.backward()
    stock.zero_grad()
    picked = [stock_graphs[row] for row in rows]
    (stock(picked, task="e")["e"] - targets.double()).abs().mean().backward()
    gradients = {
        name: parameter.grad
        for name, parameter in stock.named_parameters()
        if parameter.grad is not None
    }
    unused = {"angle_layers.2", "site_wise"}
    for name, parameter in stock.named_parameters():
        if parameter.grad is None:
            assert any(name.startswith(prefix) for prefix in unused)
            gradients[name] = torch.zeros_like(parameter)
    expected = from_chgnet(network, gradients)
    for name, parameter in network.named_parameters():
        difference = (parameter.grad.double() - expected[name]).norm()
        assert difference <= 1e-4 * expected[name].norm(), name


def test_both_paths_give_the_same_gradients_for_the_small_network(resident):
    if load_kernels(32) is None:
        pytest.skip("no C++ compiler")
    torch.manual_seed(0)
    network = FlatCHGNet(MODELS["chgnet_lite"])
    batch = resident.batch(torch.arange(40))

    def gradients():
        network.zero_grad()
        network(batch).square().mean().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    fused = gradients()
    with plain_torch():
        in_torch = gradients()
    for ours, plain in zip(fused, in_torch, strict=True):
        assert (ours - plain).norm() <= 1e-4 * plain.norm() + 1e-9


def energies_and_gradients(network, batch):
    network.zero_grad()
    energies = network(batch)
    energies.sum().backward()
    return [energies.detach(), *(p.grad.clone() for p in network.parameters())]


@pytest.fixture
def kernel_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield set_kernel_threads
    torch.set_num_threads(before)
    set_kernel_threads(1)


@pytest.mark.slow  # buys: threads change no byte, on every engine
def test_any_number_of_threads_gives_the_same_bytes(network, resident, kernel_threads, path):
    batch = resident.batch(torch.arange(30))
    runs = []
    for threads in (1, 1, 2, 3, 4, 20):
        kernel_threads(threads)
        runs.append(energies_and_gradients(network, batch))
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            assert torch.equal(first, second)


def test_the_parts_decide_the_order_of_the_weights_sums_alone(
    network, resident, kernel_threads, monkeypatch
):
    """Energies have the same bytes whatever the parts, gradients up to rounding."""
    if load_kernels(64) is None:
        pytest.skip("no C++ compiler")
    batch = resident.batch(torch.arange(30))
    kernel_threads(1)
    runs = []
    for parts in (1, 3, 8):
        monkeypatch.setattr(functions, "PARTS", parts)
        assert len(functions.split_by_crystal(batch.n_edges)) == parts
        runs.append(energies_and_gradients(network, batch))
    for energies, *gradients in runs[1:]:
        assert torch.equal(energies, runs[0][0])
        for ours, whole in zip(gradients, runs[0][1:], strict=True):
            assert (ours - whole).norm() <= 1e-4 * whole.norm()


def test_an_energy_does_not_depend_on_its_batch(network, resident, path):
    with torch.no_grad():
        together = network(resident.batch(torch.arange(20)))
        alone = torch.cat([network(resident.batch(torch.tensor([row]))) for row in range(20)])
    assert (together - alone).abs().max() < 2e-6


def test_the_skin_changes_nothing(network, store, resident, path):
    """Edges and angles of the skin carry zero weight: with them the energies stay."""
    lengths = np.diff(store.offsets, axis=0)
    whole = replace(store, core=np.stack([lengths[:, 1], store.short, lengths[:, 2]], axis=1))
    rows = torch.arange(50)
    batch, skinned = resident.batch(rows), ResidentStore(whole, resident.device).batch(rows)
    assert len(skinned.edge_length) > len(batch.edge_length)
    assert len(skinned.angle_theta) > len(batch.angle_theta)
    with torch.no_grad():
        assert (network(skinned) - network(batch)).abs().max() < 2e-6


def test_weights_go_back_to_stock(network):
    stock = CHGNet.load(use_device="cpu", verbose=False)
    exported = to_chgnet(network)
    outcome = stock.load_state_dict(exported, strict=False)
    assert not outcome.unexpected_keys
    original = CHGNet.load(use_device="cpu", verbose=False).state_dict()
    for name, tensor in exported.items():
        assert torch.equal(tensor, original[name]), name
    left = {name.split(".")[0] for name in outcome.missing_keys}
    assert left == {"composition_model", "angle_layers", "site_wise"}
