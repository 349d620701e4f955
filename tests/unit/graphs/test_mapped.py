"""What the system reads of a mapped file, by its own count."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from foldwise.graphs.arrays import ChainedArray, ask_for, expect_pieces, let_go

ROWS, WIDTH = 1_000_000, 16  # 64 MB of float32
PIECES = [slice(start, start + 50) for start in range(0, ROWS - 50, ROWS // 40)]
ACCOUNT = Path("/proc/self/io")


def read_bytes():
    line = next(line for line in ACCOUNT.read_text().splitlines() if line.startswith("read_bytes"))
    return int(line.split()[1])


def forget(path):
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("mapped") / "rows.npy"
    np.save(path, np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH))
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return path


def amount(path, array, read):
    """Bytes that reading takes of the disk, from nothing in the system's cache."""
    let_go(array)
    forget(path)
    before = read_bytes()
    read()
    return read_bytes() - before


@pytest.mark.skipif(not ACCOUNT.exists(), reason="the system counts no bytes")
def test_pieces_read_their_own_pages_and_nothing_ahead(file):
    plain = np.load(file, mmap_mode="r")
    ahead = amount(file, plain, lambda: [plain[piece].sum() for piece in PIECES])
    wanted = sum(plain[piece].nbytes for piece in PIECES)
    if ahead < 4 * wanted:
        pytest.skip("this file system reads nothing ahead, or is not counted")
    array = np.load(file, mmap_mode="r")
    expect_pieces(array)

    def read():
        ask_for(array, PIECES)
        return [array[piece].sum() for piece in PIECES]

    # Two pages at the ends of each piece are read with it.
    assert amount(file, array, read) <= wanted + 2 * mmap.PAGESIZE * len(PIECES)


def test_a_chain_is_asked_for_across_its_parts(file):
    parts = [np.load(file, mmap_mode="r") for _ in range(2)]
    chain = ChainedArray([*parts, np.ones((3, WIDTH), dtype=np.float32)])
    last = slice(2 * ROWS - 1, 2 * ROWS + 3)  # a mapped row, and all that is in memory alone
    expect_pieces(chain)
    ask_for(chain, [slice(ROWS - 2, ROWS + 2), last, slice(5, 5)])
    assert chain[ROWS - 2 : ROWS + 2].tolist() == [*parts[0][-2:].tolist(), *parts[1][:2].tolist()]
    assert chain[last][1:].sum() == 3 * WIDTH
    let_go(chain)
    assert np.array_equal(chain[ROWS : ROWS + 2], parts[1][:2])


def test_located_rows_are_those_of_the_parts():
    parts = [np.arange(3), np.arange(3, 3), np.arange(3, 8)]
    chain = ChainedArray(parts)
    for start in range(9):
        for stop in range(start, 9):
            found = [part[rows] for part, rows in chain.located(start, stop)]
            assert np.concatenate(found).tolist() == list(range(start, min(stop, 8)))
