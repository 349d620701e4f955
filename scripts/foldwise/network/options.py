"""Options of a program that computes on a machine, without the 0.2 s that pydantic takes."""

from __future__ import annotations

import argparse

from foldwise.common.options import AtLeastOne

DEVICES = ("auto", "cpu", "cuda")


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """The options that `foldwise.network.machine.machine_of` reads."""
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--engine", default="{}", help="what a GPU may do, as JSON")
