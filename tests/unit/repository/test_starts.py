"""What programs do not import: jobs of a small study compute for less time than libraries load."""

import subprocess
import sys

import pytest

from paths import REPOSITORY

pytestmark = pytest.mark.slow  # buys: a second of every prediction, two of every summary
SET_UP = """
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
set_up_engine(Machine("cpu", 1))
import torch
assert torch.get_deterministic_debug_mode() == 2
"""


@pytest.mark.parametrize(
    ("program", "begins", "spared"),
    [
        ("jobs.predict", SET_UP, {"torch._dynamo", "torch._inductor", "scipy"}),
        ("evaluate_checkpoint", "", {"torch", "transformers"}),
        ("jobs.write_mlm_summary", "", {"torch", "transformers"}),
    ],
)
def test_a_program_begins_without_libraries_that_it_does_not_need(program, begins, spared):
    script = f"import sys, {program}\n{begins}\nprint(sorted({spared} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "")
