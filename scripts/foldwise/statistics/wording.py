"""How numbers become words: the same rounding and the same sentences everywhere."""

from __future__ import annotations

from foldwise.statistics.bootstrap import Interval


def value_text(value: float) -> str:
    """A number with four decimals, or with two digits where four decimals would show nothing.

    >>> value_text(0.01823), value_text(-0.000123), value_text(0.0)
    ('0.0182', '-0.00012', '0.0000')
    """
    if value == 0.0 or abs(value) >= 0.00095:
        return f"{value + 0.0:.4f}"  # Adding zero turns -0.0 into 0.0.
    return f"{value:.1e}" if abs(value) < 1e-6 else _two_digits(value)


def _two_digits(value: float) -> str:
    decimals = 1 - int(f"{value:.1e}".split("e")[1])
    return f"{value:.{decimals}f}"


def signed_text(value: float) -> str:
    """As `value_text`, with a plus sign before positive numbers."""
    return f"+{value_text(value)}" if value > 0 else value_text(value)


def duration_text(seconds: float) -> str:
    """A duration in its natural unit.

    >>> duration_text(42.4), duration_text(400), duration_text(7560)
    ('42s', '6.7min', '2.1h')
    """
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    return f"{seconds / 60:.1f}min" if seconds < 3600 else f"{seconds / 3600:.1f}h"


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 crystal`, `2,000 crystals`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listing(parts: list[str]) -> str:
    """Joined as a sentence has it: `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def interval_text(interval: Interval, unit: str) -> str:
    """An interval with its sign and unit."""
    low, high = signed_text(interval.low), signed_text(interval.high)
    return f"{100 * interval.confidence:g} % interval {low} to {high} {unit}"


def verdict_text(name: str, other: str, difference: Interval, unit: str) -> str:
    """Whether `name` differs from `other` by more than the paired interval allows for chance.

    Args:
        name: The experiment judged.
        other: The experiment it is compared with.
        difference: MAE of `name` minus MAE of `other`.
        unit: Unit of the target.
    """
    span = interval_text(difference, unit)
    if not difference.excludes_zero:
        return (
            f"{name} and {other} cannot be told apart: the difference of their MAE, "
            f"{signed_text(difference.estimate)} {unit}, is not larger than its paired-bootstrap "
            f"uncertainty ({span}, which includes zero)."
        )
    comparative = "more" if difference.estimate < 0 else "less"
    return (
        f"{name} is {comparative} accurate than {other}: its MAE is "
        f"{value_text(abs(difference.estimate))} {unit} "
        f"{'lower' if difference.estimate < 0 else 'higher'}, and that difference is larger than "
        f"its paired-bootstrap uncertainty ({span}, which excludes zero)."
    )
