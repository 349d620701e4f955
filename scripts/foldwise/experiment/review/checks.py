"""The review that follows every run: did it produce output, is it sound, is it too good?

The order is that of a careful reader: first that the files are there and nothing was lost, then the
distributions and the groups, and the headline number last. A check passed (`true`), failed
(`false`), asks a person to look (`"look"`), or was not applicable (`null`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import flatten
from foldwise.experiment.inputs.mixture import Mixture
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import Combined, ExperimentInputs, Json
from foldwise.experiment.review.outcomes import parse_check, probe_check, result_checks
from foldwise.experiment.review.verdict import Check, Verdict
from foldwise.experiment.tables.groups import Group
from foldwise.statistics.metrics import fold_metrics
from foldwise.statistics.wording import listing, plural, signed_text, value_text
from foldwise.study.outside.own_predictions import PREDICTIONS
from foldwise.study.outside.text import PROBES

MAX_FAILURES_ACCEPTED = 0.01
MAX_FAILURES_LOOKED_AT = 0.05
SPREAD_RATIO = (0.8, 1.25)
BIAS_SHARE = 0.5
GROUP_RATIO = 3.0
GROUP_MIN_ROWS = 5
OUTLIER_SHARE = 0.05
"""Where a check changes its answer; each stands in the check's detail."""


@dataclass(frozen=True)
class Reviewed:
    """What the review judges.

    Attributes:
        folder: The experiment's folder, complete but for the review and `results.json`.
        rows: All test rows.
        record: The record that will be `results.json`.
        groups: All groups.
        index: `groups/_index.csv`.
        outliers: `diagnostics/outliers.csv`.
    """

    folder: Path
    rows: TestRows
    record: Json
    groups: Sequence[Group]
    index: pd.DataFrame
    outliers: pd.DataFrame


def review(inputs: ExperimentInputs, reviewed: Reviewed) -> Json:
    """All checks in order, how many had which outcome, and what is left to a person."""
    checks = [
        _files(reviewed.folder),
        _counts(inputs, reviewed.rows),
        _config(inputs),
        _failures(inputs),
        *_language_model(inputs),
        _distribution(reviewed.rows, inputs.unit),
        _group_spread(reviewed),
        _outliers(reviewed),
        *result_checks(inputs, reviewed.record),
    ]
    worst = reviewed.index["group"].iloc[0]
    return {
        "passed": sum(check.passed is True for check in checks),
        "failed": sum(check.passed is False for check in checks),
        "look": sum(check.passed == "look" for check in checks),
        "not_applicable": sum(check.passed is None for check in checks),
        "checks": [asdict(check) for check in checks],
        "to_do": f"Read some summaries, first those of groups/{worst}/samples/.",
    }


def _language_model(inputs: ExperimentInputs) -> list[Check]:
    raw = inputs.raw_outputs
    if raw is None:
        return []
    told = inputs.models[0].fit["hyperparams"].get("detail")
    return [
        parse_check(raw, inputs.unit),
        *([probe_check(raw, told)] if told in PROBES else []),
    ]


def review_lines(result: Json) -> list[str]:
    """The review for a terminal: one line per check."""
    mark = {True: "ok", False: "FAIL", "look": "look", None: "n/a"}
    checks: list[Any] = result["checks"]
    return [f"[{mark[check['passed']]}] {check['name']}: {check['detail']}" for check in checks]


def _files(folder: Path) -> Check:
    files = [path for path in folder.rglob("*") if path.is_file()]
    empty = sorted(str(path.relative_to(folder)) for path in files if not path.stat().st_size)
    detail = f"{len(files)} files, none empty" if not empty else f"empty: {listing(empty[:5])}"
    return Check("output files", bool(files) and not empty, detail)


def _counts(inputs: ExperimentInputs, rows: TestRows) -> Check:
    source, left_out = int(inputs.card["n_source"]), len(inputs.failures)
    complete = len(inputs.splits) == next(iter(inputs.splits.values())).n_folds
    spared = _never_tested(inputs) if complete else 0
    accounted = len(rows.table) + left_out + spared
    sentence = (
        f"{source:,} crystals in; {len(rows.table):,} predicted + {left_out:,} failures"
        f"{f' + {spared:,} that no fold tests' if spared else ''} = {accounted:,}"
    )
    if not complete:
        return Check("counts", "look", f"{sentence}; only some folds were run")
    return Check("counts", source == accounted, sentence)


def _never_tested(inputs: ExperimentInputs) -> int:
    """Rows that stand in training alone, which only folds in time and of one's own may have."""
    if inputs.duplicates.get("kind") not in {"time", "file"}:
        return 0
    tested = {name for split in inputs.splits.values() for name in split.test}
    return len(set(inputs.targets.index) - tested - set(inputs.failures["id"]))


def _config(inputs: ExperimentInputs) -> Check:
    if inputs.combined is not None:
        return _combined_config(inputs, inputs.combined)
    if inputs.mixture is not None:
        return _mixed_config(inputs, inputs.mixture)
    wanted = flatten(inputs.recipe)
    different = sorted(
        {
            f"{key} is {used[key]!r}, config says {wanted[key]!r}"
            for used in (flatten(model.fit["hyperparams"]) for model in inputs.models)
            for key in wanted.keys() & used.keys()
            if used[key] != wanted[key] and not _is_searched(key, used[key], wanted[key])
        }
    )
    count = plural(len(inputs.models), "model")
    made = "read" if inputs.recipe.get("model") == PREDICTIONS else "trained"
    detail = f"{count} {made} as config.json says" if not different else listing(different[:3])
    return Check("resolved config", not different, detail)


def _mixed_config(inputs: ExperimentInputs, mixture: Mixture) -> Check:
    """Whether every fold was combined, and every member made, as the config says."""
    how = {part["recipe"]: flatten(part["how"]) for part in inputs.recipe["members"]}
    different = sorted(
        {
            f"fold {fold} is {done['rule']!r}"
            for fold, done in mixture.done.items()
            if done["rule"] != inputs.recipe["combine"]
        }
        | {
            f"{model.recipe}: {key} is {used[key]!r}, config says {wanted[key]!r}"
            for model in inputs.models
            for used, wanted in [(flatten(model.fit["hyperparams"]), how[model.recipe])]
            for key in wanted.keys() & used.keys()
            if used[key] != wanted[key]
        }
    )
    detail = f"{plural(len(mixture.done), 'fold')} combined as config.json says"
    return Check("resolved config", not different, listing(different[:3]) if different else detail)


def _is_searched(key: str, used: object, tried: object) -> bool:
    """Whether a search on the hold-out chose this value among those that the config names."""
    return key == "teacher.soft_weight" and isinstance(tried, list) and used in tried


def _combined_config(inputs: ExperimentInputs, combined: Combined) -> Check:
    wanted = inputs.recipe
    different = sorted(
        f"fold {fold} is {done[key]!r}, config says {wanted[name]!r}"
        for fold, done in combined.done.items()
        for key, name in (("rule", "combine"), ("members", "members"), ("options", "booster"))
        if done[key] != (wanted[name] or {})
    )
    detail = f"{plural(len(combined.done), 'fold')} combined as config.json says"
    return Check("resolved config", not different, listing(different[:3]) if different else detail)


def _failures(inputs: ExperimentInputs) -> Check:
    share = len(inputs.failures) / max(1, int(inputs.card["n_source"]))
    passed: Verdict = share < MAX_FAILURES_ACCEPTED
    if MAX_FAILURES_ACCEPTED <= share <= MAX_FAILURES_LOOKED_AT:
        passed = "look"
    detail = (
        f"{share:.2%} of the crystals failed (below {MAX_FAILURES_ACCEPTED:.0%} is fine, above "
        f"{MAX_FAILURES_LOOKED_AT:.0%} is not)"
    )
    return Check("failure rate", passed, detail)


def _distribution(rows: TestRows, unit: str) -> Check:
    target, predicted = rows.table["target"], rows.table["prediction"]
    bias = float((predicted - target).mean())
    mae = float(rows.table["abs_error"].mean())
    spread = float(target.std(ddof=0))
    ratio = float(predicted.std(ddof=0)) / spread if spread > 0 else 1.0
    detail = (
        f"mean {value_text(predicted.mean())} predicted, {value_text(target.mean())} true "
        f"(bias {signed_text(bias)} {unit}); the predictions' spread is {ratio:.2f} of the targets'"
    )
    if predicted.min() == predicted.max():
        return Check("prediction distribution", False, f"all predictions are equal; {detail}")
    sound = SPREAD_RATIO[0] <= ratio <= SPREAD_RATIO[1] and abs(bias) <= BIAS_SHARE * mae
    return Check("prediction distribution", True if sound else "look", detail)


def _group_spread(reviewed: Reviewed) -> Check:
    mae = float(reviewed.rows.table["abs_error"].mean())
    large = reviewed.index[reviewed.index["n"] >= GROUP_MIN_ROWS]
    if large.empty:
        return Check("group spread", "look", f"no group has {GROUP_MIN_ROWS} crystals")
    worst = large.iloc[0]
    ratio = float(worst["mae"]) / mae if mae > 0 else 1.0
    detail = (
        f"worst of the groups with {GROUP_MIN_ROWS} or more crystals: {worst['group']} "
        f"({worst['n']} crystals) with {ratio:.1f} times the overall MAE"
    )
    return Check("group spread", True if ratio <= GROUP_RATIO else "look", detail)


def _outliers(reviewed: Reviewed) -> Check:
    count, total = len(reviewed.outliers), len(reviewed.rows.table)
    if not count:
        return Check("outliers", True, "none")
    above = int((reviewed.outliers["prediction"] > reviewed.outliers["target"]).sum())
    numbers = fold_metrics(reviewed.outliers["target"], reviewed.outliers["prediction"])
    detail = (
        f"{count} of {total:,} rows ({count / total:.1%}), {above} predicted too high and "
        f"{count - above} too low, largest error {value_text(numbers['max_abs_error'])}; see "
        "diagnostics/outliers.csv"
    )
    return Check("outliers", True if count / total <= OUTLIER_SHARE else "look", detail)
