"""How numbers become words: the same rounding and the same sentences everywhere."""

from __future__ import annotations

from foldwise.statistics import LEVEL, STAR_REPLICATES
from foldwise.statistics.intervals import Interval


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


def over_folds_text(mean: float, std: float, n_folds: int) -> str:
    """Mean and standard deviation over folds; one fold has no spread."""
    return f"{value_text(mean)} ± {value_text(std)}" if n_folds > 1 else value_text(mean)


def signed_text(value: float) -> str:
    """As `value_text`, with a plus sign before positive numbers."""
    return f"+{value_text(value)}" if value > 0 else value_text(value)


def duration_text(seconds: float) -> str:
    """A duration in its natural unit, written as the line of a run in RESULTS.md has it.

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
    """Which of two experiments has the lower error, and whether the interval leaves that open.

    Args:
        name: The experiment judged.
        other: The experiment it is compared with.
        difference: MAE of `name` minus MAE of `other`.
        unit: Unit of the target.
    """
    span = interval_text(difference, unit)
    where = "" if difference.covers_seeds else "As trained here, "
    if not difference.excludes_zero:
        return (
            f"{where}{name} and {other} cannot be told apart: the difference of their MAE, "
            f"{signed_text(difference.estimate)} {unit}, has the {span}, which includes zero."
        )
    comparative = "more" if difference.estimate < 0 else "less"
    return (
        f"{where}{name} is {comparative} accurate than {other}: its MAE is "
        f"{value_text(abs(difference.estimate))} {unit} "
        f"{'lower' if difference.estimate < 0 else 'higher'} ({span} of the difference, which "
        "excludes zero)."
    )


def claim_text(difference: Interval, adjusted: float, tests: int) -> str:
    """What was tested, and with what outcome; or why nothing is claimed of the method.

    Args:
        difference: A paired difference with its interval.
        adjusted: Its p-value after the study's correction.
        tests: Comparisons of the study that the correction is for.
    """
    drawn = (
        f"{difference.rows:,} crystals of one formula, each left out in turn"
        if difference.clusters == 1
        else f"{plural(difference.clusters or 0, 'formula')}, each left out with all its crystals"
    )
    own, other = difference.replicates
    if not difference.can_have_star:
        covered = (
            "and other training seeds"
            if difference.covers_seeds
            else ("but no other training seed")
        )
        return (
            f"The interval covers other test crystals ({drawn}) {covered}. A star needs "
            f"{STAR_REPLICATES} trainings of each side; there are {own} and {other}."
        )
    outcome = "below" if adjusted < LEVEL else "not below"
    return (
        "Tested: that both sides have the same mean error over other test crystals and other "
        f"training seeds ({drawn}; {own} and {other} replicates). p = "
        f"{p_text(difference.p_value or 0.0)}, after correction for the "
        f"{plural(tests, 'comparison')} {p_text(adjusted)}, {outcome} {LEVEL:g}: "
        f"{'a star' if adjusted < LEVEL else 'no star'}."
    )


def p_text(value: float) -> str:
    """A p-value with two digits.

    >>> p_text(0.04321), p_text(0.0002), p_text(1.0)
    ('0.043', '0.00020', '1.0')
    """
    return f"{value:.1f}" if value >= 0.995 else _two_digits(value)
