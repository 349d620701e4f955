"""The first page: the finding, the chain from teachers to student, what each change was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foldwise.experiment.comparison.leaderboard import read_leaderboard, standing
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.ablation import BETTER, EVEN, WORSE
from foldwise.site.reading.comparisons import Comparison, recorded_comparisons, training_costs
from foldwise.site.reading.experiments import ExperimentFolder
from foldwise.statistics.wording import listing, plural, value_text


def overview(experiments: Sequence[ExperimentFolder]) -> Json:
    """What the template of the overview shows."""
    comparisons = recorded_comparisons(experiments)
    costs = training_costs(experiments)
    return {
        "finding": finding(experiments, comparisons),
        "finding_of": _headline(experiments).name,
        "finding_seen": _headline(experiments).seen,
        "chains": chains(experiments, comparisons, costs),
        "comparisons": [each.as_dict() for each in comparisons],
        "forest_title": forest_title(comparisons),
        "costs": costs,
        "cost_title": cost_title(experiments, costs),
        "decisions": decisions(experiments),
        "standings": standings(experiments),
        "statements": statements(experiments),
    }


def finding(experiments: Sequence[ExperimentFolder], comparisons: Sequence[Comparison]) -> str:
    """The study in one sentence: what became of its student, or else what errs least."""
    student = _headline(experiments)
    own = f"{student.name.upper()} ({_lower_first(student.record['title'])})"
    unit = student.record["unit"]
    mine = [each for each in comparisons if each.experiment == student.name and each.same_start]
    others = [each for each in comparisons if each.against == student.name and each.same_start]
    better = [each.against for each in mine if each.verdict == BETTER]
    worse = [each.against for each in mine if each.verdict == WORSE]
    even = [each.against for each in mine if each.verdict == EVEN]
    better += [each.experiment for each in others if each.verdict == WORSE]
    worse += [each.experiment for each in others if each.verdict == BETTER]
    even += [each.experiment for each in others if each.verdict == EVEN]
    clauses = [
        clause
        for names, clause in (
            (better, f"is more accurate than {_names(better)}"),
            (worse, f"is less accurate than {_names(worse)}"),
            (even, f"cannot be told apart from {_names(even)}"),
        )
        if names
    ]
    low, high = student.record["metrics"]["pooled"]["interval"]
    error = (
        f"an MAE of {value_text(student.mae)} {unit} "
        f"(95 % interval {value_text(low)} to {value_text(high)})"
    )
    start = f"{own} has {error}"
    return f"{start}; it {listing(clauses)}." if clauses else f"{start}."


def _headline(experiments: Sequence[ExperimentFolder]) -> ExperimentFolder:
    """The first student of one pass; where nothing is distilled, the smallest error."""
    students = [each for each in experiments if _teacher(each) and _passes(each) == 1]
    return students[0] if students else min(experiments, key=lambda each: each.mae)


def _names(names: Sequence[str]) -> str:
    return listing([name.upper() for name in names])


def _lower_first(text: str) -> str:
    # "CHGNet" and other names keep their capitals.
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _teacher(experiment: ExperimentFolder) -> str | None:
    name = experiment.record["hyperparams"].get("teacher.ensemble")
    return None if name is None else str(name)


def _passes(experiment: ExperimentFolder) -> int:
    return int(experiment.record["compute"]["inference"]["passes_per_prediction"])


def chains(
    experiments: Sequence[ExperimentFolder],
    comparisons: Sequence[Comparison],
    costs: Mapping[str, float],
) -> list[Json]:
    """From single models over their average to the student: one chain per student."""
    by_name = {each.name: each for each in experiments}
    found = []
    for student in experiments:
        ensemble = by_name.get(_teacher(student) or "")
        if ensemble is None or _passes(student) > 1:
            continue
        base = _first_of_chain(ensemble, by_name)
        stages = [each for each in (base, ensemble, student) if each is not None]
        reference = costs[stages[0].name]
        found.append(
            {
                "title": f"From {plural(_passes(ensemble), 'teacher')} to {student.name.upper()}",
                "stages": [_stage(each, costs[each.name], reference) for each in stages],
                "links": [
                    _link(stages[at + 1].name, stages[at].name, comparisons)
                    for at in range(len(stages) - 1)
                ],
                "students": [],
            }
        )
    return _joined(found) or _combination_chain(experiments)


def _joined(found: list[Json]) -> list[Json]:
    """Students of one ensemble share a chain: the first in it, the others beside it."""
    chains_of: dict[str, Json] = {}
    for chain in found:
        key = chain["stages"][-2]["name"]
        if key in chains_of:
            chains_of[key]["students"].append(chain["stages"][-1])
        else:
            chains_of[key] = chain
    return list(chains_of.values())


def _first_of_chain(
    ensemble: ExperimentFolder, by_name: Mapping[str, ExperimentFolder]
) -> ExperimentFolder | None:
    """The single model of the ensemble's own recipe."""
    singles = [
        each
        for each in by_name.values()
        if each.record["recipe"] == ensemble.record["recipe"]
        and _passes(each) == 1
        and each.record["ensemble"] is None
    ]
    return singles[0] if singles else None


def _combination_chain(experiments: Sequence[ExperimentFolder]) -> list[Json]:
    """Recorded models and what combines them; nothing where nothing is combined."""
    combined = [each for each in experiments if each.record["combination"] is not None]
    if not combined:
        return []
    members = combined[0].record["ensemble"]["members"]
    unit = combined[0].record["unit"]
    first = [
        {"name": str(each["name"]), "title": "recorded model", "mae": float(each["mae"]),
         "interval": None, "unit": unit, "passes": 1, "seen": False, "cost": None, "ratio": None,
         "link": False}
        for each in members
    ]  # fmt: skip
    stages = [_stage(each, 0.0, 0.0) for each in combined]
    return [{"title": "From recorded models to one answer", "members": first, "stages": stages,
             "links": [], "students": []}]  # fmt: skip


def _stage(experiment: ExperimentFolder, cost: float, reference: float) -> Json:
    return {
        "name": experiment.name,
        "title": experiment.record["title"],
        "mae": experiment.mae,
        "interval": experiment.record["metrics"]["pooled"]["interval"],
        "unit": experiment.record["unit"],
        "passes": _passes(experiment),
        "seen": experiment.seen,
        "cost": cost or None,
        "ratio": cost / reference if reference else None,
        "link": True,
    }


def _link(name: str, against: str, comparisons: Sequence[Comparison]) -> Json | None:
    """The comparison that stands between two stages of a chain, if one was made."""
    for each in comparisons:
        if (each.experiment, each.against) == (name, against):
            return each.as_dict()
    return None


def forest_title(comparisons: Sequence[Comparison]) -> str:
    """What the forest plot shows."""
    shown = [each for each in comparisons if each.same_start]
    clear = [each for each in shown if each.verdict != EVEN]
    lower = sum(each.verdict == BETTER for each in clear)
    if not shown:
        return "No two experiments of this study start alike"
    if not clear:
        return f"None of {plural(len(shown), 'comparison')} shows a difference"
    return (
        f"{len(clear)} of {plural(len(shown), 'comparison')} "
        f"{'shows' if len(clear) == 1 else 'show'} a difference: {lower} with a lower error, "
        f"{len(clear) - lower} with a higher one"
    )


def cost_title(experiments: Sequence[ExperimentFolder], costs: Mapping[str, float]) -> str:
    """What the figure of cost and error shows."""
    best = min(experiments, key=lambda each: each.mae)
    if all(each.record["combination"] is not None for each in experiments):
        return f"{best.name.upper()} has the smallest MAE; nothing was trained"
    cheapest = min(experiments, key=lambda each: costs[each.name])
    if best is cheapest:
        return f"{best.name.upper()} errs least and is the cheapest to train"
    ratio = costs[best.name] / costs[cheapest.name] if costs[cheapest.name] else 0.0
    times = f" at {ratio:.1f} times the training cost of {cheapest.name.upper()}" if ratio else ""
    return f"{best.name.upper()} has the smallest MAE{times}"


def decisions(experiments: Sequence[ExperimentFolder]) -> list[Json]:
    """What the study's own rules made of its experiments."""
    rules = [(each.name, each.record["decision"].get("rule")) for each in experiments]
    return [
        {"name": name, "outcome": rule["outcome"], "reason": rule["reason"]}
        for name, rule in rules
        if rule
    ]


def standings(experiments: Sequence[ExperimentFolder]) -> list[Json]:
    """Where complete runs of an official task stand among published results."""
    board = read_leaderboard(str(experiments[0].record["task"]))
    placed = [(each, standing(each.record, board)) for each in experiments]
    return [
        {"name": each.name, **place}
        for each, place in sorted(placed, key=lambda pair: pair[0].mae)
        if place is not None
    ]


def statements(experiments: Sequence[ExperimentFolder]) -> list[Json]:
    """Every leakage statement once, with the experiments that it concerns."""
    found: dict[str, Json] = {}
    for each in experiments:
        text = str(each.record["leakage"]["statement"])
        entry = found.setdefault(text, {"text": text, "seen": each.seen, "names": []})
        entry["names"].append(each.name)
    return list(found.values())
