"""Who may write to a folder: the process that asked last.

A node that a cluster takes for dead may go on computing, and a queue may begin a job twice. Files
are renamed into place whole, so that a stray writer can do no worse than write the same bytes; with
a lease it does not write at all.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from foldwise.common.files import write_text

POLL_SECONDS = 5.0


class Lease:
    """The right to write, until another process takes it.

    Args:
        path: File that names the holder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}\n"
        write_text(path, self._name)

    @property
    def is_held(self) -> bool:
        """Whether this process is still the one that asked last."""
        try:
            return self._path.read_text(encoding="utf-8") == self._name
        except FileNotFoundError:
            return False

    def yield_to_holder(self, outputs: Sequence[Path], say: Callable[[str], None]) -> None:
        """Where the lease is lost, write nothing: wait for the other one's outputs, and end well.

        An error would do harm: Snakemake removes the outputs of a job that fails, and these are now
        another job's.

        Args:
            outputs: What the holder will write.
            say: Takes a line for the log.

        Raises:
            SystemExit: The lease is lost, and the outputs are there.
        """
        if self.is_held:
            return
        say("another job has taken over this work: nothing more is written here")
        while not all(path.exists() for path in outputs):
            time.sleep(POLL_SECONDS)
        raise SystemExit(0)
