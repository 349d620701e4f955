"""Lanes of the benchmark treat denormal numbers as they say, in all their threads."""

import json
import subprocess
import sys

import pytest
import torch

from maintenance.bench.job import FLUSHED
from maintenance.bench.machine import Lane
from maintenance.bench.rows import Measured, rows_of, share_of_the_machine
from maintenance.bench.variants import variants
from paths import REPOSITORY

CPU = torch.device("cpu")
TINY, COUNT = 1e-40, 1_000_000  # many enough for PyTorch to share the work among its threads


def surviving():
    return int((torch.full((COUNT,), TINY, dtype=torch.float32) * 0.5 > 0).sum())


@pytest.mark.parametrize("threads", [1, 2])
def test_denormals_are_flushed_in_one_lane_and_kept_in_the_other(threads):
    before = torch.get_num_threads()
    try:
        shipped, flushed = (Lane(CPU, threads, flush=flush) for flush in (False, True))
        for _ in range(2):  # the lanes alternate, and keep their own threads
            assert shipped.timed(surviving)() == COUNT
            assert flushed.timed(surviving)() == 0
    finally:
        torch.set_num_threads(before)


def test_an_engine_is_compared_with_stock_in_as_many_threads():
    measured = {
        ("stock", 1): Measured([10.0, 10.0], [20.0, 20.0]),
        ("stock", 2): Measured([16.0, 16.0], [16.0, 16.0]),
        ("fused", 2): Measured([64.0, 64.0], [48.0, 48.0]),
        ("flat, parallel", 4): Measured([30.0, 30.0], [20.0, 20.0]),
    }
    rows = rows_of("train", measured, device=CPU, batch_size=32)
    assert [row.ratio_to_stock for row in rows] == [1, 1, 4, 3]
    assert [row.cpu_ratio_to_stock for row in rows] == [1, 1, 3, 1]
    assert share_of_the_machine(rows) == 0.5


@pytest.mark.slow  # buys: a whole benchmark that is short
def test_every_kind_of_work_has_a_row_of_every_engine(tmp_path):
    out = tmp_path / "cpu.json"
    command = [
        sys.executable, "scripts/maintenance/bench_engine.py", "--dataset", "data/demo.json.gz",
        "--target", "e_form", "--structures", "32", "--batch-sizes", "16", "--rounds", "1",
        "--epochs", "1", "--threads", "1", "--out", str(out),
    ]  # fmt: skip
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    rows = json.loads(out.read_text())
    engines = {"stock", FLUSHED, *(variant.name for variant in variants(CPU, compiled=False))}
    for work in ("train", "infer"):
        assert {row["engine"] for row in rows if row["work"] == work} == engines
    assert {row["work"] for row in rows} == {"train", "infer", "convert", "fit"}
    for row in rows:
        assert min(row["structures_per_s"], row["structures_per_cpu_s"]) > 0
        assert (row["engine"] == "stock") == (row["ratio_to_stock"] == 1)
        assert (row["work"] == "train") == (row["backward_over_forward"] is not None)
    page = out.with_suffix(".md").read_text()
    assert "32 structures of demo.json.gz" in page
    assert page.count("\n| train | 16 |") == len(engines)
