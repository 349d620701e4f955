"""Pools of worker processes that end with the program that started them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Literal

POLL = 1.0
"""Seconds between two looks at the parent."""


def worker_pool(
    workers: int,
    method: Literal["fork", "spawn"],
    initializer: Callable[..., object] | None = None,
    initargs: tuple[Any, ...] = (),
) -> ProcessPoolExecutor:
    """A pool whose workers end within a second or two of their parent, however that ended.

    Python's own pool ends its workers by a message of the parent. One that is killed sends none:
    its workers would wait for work for ever, with all memory that they have inherited.

    Args:
        workers: Processes.
        method: `fork` inherits what is in memory; `spawn` is safe beside threads.
        initializer: Called once in every worker, with `initargs`.
        initargs: Its arguments.
    """
    return ProcessPoolExecutor(
        workers, get_context(method), _begin, (os.getpid(), initializer, initargs)
    )


def _begin(
    parent: int, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with(parent: int) -> None:
    """End this process once another one has become its parent."""
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)
