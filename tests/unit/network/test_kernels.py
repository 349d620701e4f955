"""The fused kernels: numbers near zero, what they keep, and libraries that cannot be loaded."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from foldwise.crystals.neighbors import CrystalArrays, build_graph
from foldwise.graphs.sources import ResidentStore
from foldwise.graphs.store import GraphColumns, GraphStore, write_store
from foldwise.network.chgnet import MODELS, AtomConv, FlatCHGNet, plain_torch
from foldwise.network.kernels import functions, library
from foldwise.network.kernels.functions import (
    AtomConvMessages,
    kernel_precision,
    set_kernel_precision,
    set_kernel_threads,
)
from foldwise.network.kernels.library import has_tiles, load_kernels
from paths import REPOSITORY

needs_compiler = pytest.mark.skipif(load_kernels(32) is None, reason="no C++ compiler")
N_ATOMS, N_EDGES, WIDTH = 10, 200, 32
DENORMAL = 1e-39


def edges(envelope):
    """Inputs of `AtomConvMessages` with random features."""
    torch.manual_seed(0)
    layer = AtomConv(WIDTH).messages
    first, second = torch.randint(0, N_ATOMS, (2, N_EDGES))
    centre, neighbour = torch.randn(2, N_ATOMS, 2 * WIDTH)
    features = [centre, neighbour, torch.randn(N_EDGES, WIDTH), envelope]
    leaves = [feature.requires_grad_() for feature in features]
    return leaves, lambda: AtomConvMessages.apply(
        torch.is_grad_enabled(), [(0, N_EDGES)], first, second, *leaves, *layer.weights(1)
    )


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_denormal_operands_are_zeros_in_a_kernel_and_stay_numbers_outside(threads):
    leaves, messages = edges(torch.full((N_EDGES, WIDTH), DENORMAL))
    set_kernel_threads(threads)
    summed = messages()
    summed.sum().backward()
    set_kernel_threads(1)
    assert not summed.any()
    assert not leaves[0].grad.any()
    assert (torch.full((3,), DENORMAL) * 1.0).all()  # the caller's own setting is back


@needs_compiler
def test_what_the_forward_pass_keeps_changes_no_byte(monkeypatch):
    def gradients():
        leaves, messages = edges(torch.rand(N_EDGES, WIDTH))
        summed = messages()
        summed.square().sum().backward()
        return [summed, *(leaf.grad for leaf in leaves)]

    kept = gradients()
    monkeypatch.setattr(functions, "KEPT_LIMIT", 0)
    for ours, again in zip(kept, gradients(), strict=True):
        assert torch.equal(ours, again)


def loads(cache):
    """Whether a fresh process with this cache folder loads the kernels."""
    code = "from foldwise.network.kernels.library import load_kernels; print(load_kernels(16))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(cache), "PYTHONPATH": "scripts"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return "CDLL" in done.stdout


@needs_compiler
@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_library_cut_short_is_compiled_again(tmp_path, length):
    assert loads(tmp_path)
    (path,) = (tmp_path / "foldwise").glob("gated-16-*.so")
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert loads(tmp_path)
    assert path.read_bytes() == whole


@needs_compiler
def test_a_cache_that_is_not_a_folder_leaves_a_temporary_one(tmp_path):
    (tmp_path / "foldwise").write_text("no folder")
    assert loads(tmp_path)


@needs_compiler
def test_a_library_that_may_not_be_run_is_left_out(tmp_path, monkeypatch):
    """As on mounts without the right to run files: the loader refuses to map it."""

    def refuse(path):
        raise OSError(f"{path}: failed to map segment from shared object")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    library._load_kernels.cache_clear()
    assert load_kernels(16) is None
    library._load_kernels.cache_clear()


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Three crystals with more edges than a block has rows."""
    random = np.random.default_rng(0)
    crystals = [
        CrystalArrays(
            np.arange(8, 8 + atoms, dtype=np.int32), random.random((atoms, 3)), 4.5 * np.eye(3)
        )
        for atoms in (1, 4, 5)
    ]
    folder = tmp_path_factory.mktemp("kernels") / "graphs"
    graphs = GraphColumns.of([build_graph(crystal) for crystal in crystals])
    write_store(folder, ["a", "b", "c"], crystals, graphs, [])
    return ResidentStore(GraphStore.open(folder), torch.device("cpu")).batch(torch.arange(3))


@pytest.fixture(params=["emulated", "on"])
def tiles(request, monkeypatch):
    """Products by the emulated tile unit, and by the processor's own if it has one."""
    monkeypatch.setenv("FOLDWISE_TILES", request.param)
    if not has_tiles(WIDTH):
        pytest.skip("no tile unit" if request.param == "on" else "no C++ compiler")
    return monkeypatch


def run_network(batch):
    torch.manual_seed(0)
    network = FlatCHGNet(MODELS["chgnet_lite"])
    energies = network(batch)
    energies.square().mean().backward()
    return energies.detach(), [parameter.grad for parameter in network.parameters()]


def test_three_products_of_a_tile_unit_are_as_good_as_float32(tiles, batch):
    """Energies and gradients in the bounds of the parity tests, rows that fill no tile included."""
    energies, gradients = run_network(batch)
    with plain_torch():
        expected, expected_gradients = run_network(batch)
    assert 0 < (energies - expected).abs().max() < 2e-6
    for ours, plain in zip(gradients, expected_gradients, strict=True):
        assert (ours - plain).norm() <= 1e-4 * plain.norm() + 1e-9


def test_one_product_is_shorter_and_recorded_as_such(tiles, batch):
    exact, _ = run_network(batch)
    assert kernel_precision(WIDTH) == "float32"
    set_kernel_precision("bf16")
    try:
        assert kernel_precision(WIDTH) == "bf16"
        energies, gradients = run_network(batch)
    finally:
        set_kernel_precision("float32")
    assert 1e-6 < (energies - exact).abs().max() < 0.02
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_tile_unit_that_is_switched_off_is_not_used(tiles, batch):
    with_tiles, _ = run_network(batch)
    tiles.setenv("FOLDWISE_TILES", "off")
    assert not has_tiles(WIDTH)
    assert not torch.equal(with_tiles, run_network(batch)[0])
