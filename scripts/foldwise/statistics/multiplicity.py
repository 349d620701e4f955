"""Several tests in one table: how small a p-value must be when many were looked at."""

from __future__ import annotations

from collections.abc import Sequence

LEVEL = 0.05
"""Share of tables without any true difference in which a star may stand."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of one table's tests, in the order given.

    A test is significant at `LEVEL` where its adjusted p-value is below it; then the chance of even
    one false star in the table is at most `LEVEL`, however the tests depend on each other (Holm,
    *Scandinavian Journal of Statistics* 6, 65, 1979; `p.adjust(method = "holm")` in R).

    Raises:
        ValueError: A p-value is no probability.
    """
    if any(not 0.0 <= value <= 1.0 for value in p_values):
        raise ValueError(f"p-values must lie between 0 and 1, got {list(p_values)}")
    adjusted, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for passed, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - passed) * p_values[index]))
        adjusted[index] = largest
    return adjusted
