"""What a model may have seen of its test crystals before it was asked about them."""

from __future__ import annotations

from foldwise.experiment.inputs.combined import leakage_statement, recorded_block
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.wording import listing

PRETRAINED_ON = "MPtrj (145,923 materials of Materials Project)"

_SOFT_TARGETS = {
    "crossfit": (
        "Soft targets are out of fold: each training crystal was labelled only by teachers that "
        "did not train on it, and no teacher of a fold trained on that fold's test crystals."
    ),
    "in_sample": (
        "Soft targets are the teachers' answers on crystals that they trained on, which nearly "
        "repeat the labels (an ablation); no teacher of a fold trained on that fold's test "
        "crystals."
    ),
    "augmented": (
        "Soft targets label changed copies of training crystals; no test crystal was copied, and "
        "no teacher of a fold trained on that fold's test crystals. A copy with other elements may "
        "resemble a test crystal; its target is the teachers' answer, which knows no test label. "
        "The teachers know the labels of the student's validation crystals, so that its validation "
        "error is too good and only its test error counts."
    ),
    "recorded": (
        "Soft targets are what public Matbench submissions predicted for training crystals that "
        "they did not train on. Each of those models, though, trained on the labels of four folds, "
        "this fold's test labels among them (cross-fold): the student has indirectly seen them."
    ),
}


_FOLDS = {
    "formula": "formula",
    "chemical_system": "set of elements",
    "spacegroup": "space group",
    "prototype": "prototype (anonymous formula and space group)",
    "column": "a column of the user's own",
    "time": "time, the test always later",
    "cluster": "cluster of compositions",
}


def leakage_block(inputs: ExperimentInputs) -> Json:
    """The `leakage` block of `results.json`: facts, each with the sentence that a reader needs."""
    teacher = _teacher_pretrained(inputs)
    seen = starts_pretrained(inputs)
    return {
        "pretrained": inputs.pretrained,
        "teacher_pretrained": teacher,
        "pretrained_on": _pretrained_on(inputs) if seen else None,
        "test_structures_presumably_seen": seen,
        "statement": _statement(inputs, teacher=bool(teacher)),
        "soft_targets": _soft_targets(inputs),
        "recorded_teachers": recorded_block(inputs.combined),
        "duplicates": _duplicates(inputs.duplicates),
    }


def _pretrained_on(inputs: ExperimentInputs) -> str:
    """Data that weights have seen, of all recipes that say so."""
    own = [model.fit["hyperparams"].get("pretrained_on") for model in inputs.models]
    named = [str(one) for one in dict.fromkeys(own) if one]
    networks = [
        model
        for model in inputs.models
        if model.fit.get("kind", "network") == "network"
        and model.fit["hyperparams"].get("init") == "pretrained"
    ]
    return listing([*([PRETRAINED_ON] if networks or not named else []), *named])


def starts_pretrained(inputs: ExperimentInputs) -> bool:
    """Whether the models, or their teachers, started from pretrained weights."""
    return inputs.pretrained or bool(_teacher_pretrained(inputs))


def _teacher_pretrained(inputs: ExperimentInputs) -> bool | None:
    """Whether the teachers started from pretrained weights; `None` without a teacher."""
    teacher = inputs.recipe.get("teacher")
    if not teacher:
        return None
    if teacher["targets"] == "recorded":
        return False
    for parent in inputs.parents:
        if parent.experiment == teacher["ensemble"]:
            return bool(parent.record["leakage"]["pretrained"])
    recipe = teacher.get("recipe")
    init = recipe.get("init") if isinstance(recipe, dict) else teacher.get("init")
    return inputs.pretrained if init is None else init == "pretrained"


def _statement(inputs: ExperimentInputs, *, teacher: bool) -> str:
    if inputs.combined is not None:
        return leakage_statement(inputs.combined)
    outside = any(model.fit.get("kind", "network") != "network" for model in inputs.models)
    if inputs.mixture is not None or outside or not inputs.has_networks:
        return outside_statement(inputs)
    joint = _joint_statement(inputs)
    if not inputs.pretrained and not teacher:
        return (
            "Trained from scratch on the training crystals of each fold alone; no data from "
            f"elsewhere.{joint}"
        )
    who = "The model starts from" if inputs.pretrained else "The model's teachers started from"
    source = " ".join(str(inputs.card.get(key, "")) for key in ("source", "notes", "citation"))
    known = "materials project" in source.lower() or inputs.task.startswith("matbench_mp_")
    seen = (
        "The test crystals come from the same database, so nearly all of them were presumably seen "
        "in pretraining"
        if known
        else "Whether the test crystals are among them was not checked, so it must be presumed"
    )
    target = str(inputs.card["target_name"]).lower()
    labels = (
        ": for formation energies that is leakage of labels, not only of structures"
        if "form" in target
        else ""
    )
    return (
        f"{who} CHGNet 0.3.0 weights pretrained on {PRETRAINED_ON}. {seen}{labels}. Its errors "
        f"must not be ranked beside those of models trained from scratch.{joint}"
    )


def outside_statement(inputs: ExperimentInputs) -> str:
    """What models from outside, and mixed ones, may have seen."""
    recipes = {model.recipe: model.fit for model in inputs.models}
    parts = []
    for name, fit in recipes.items():
        if fit.get("kind", "network") == "network":
            start = "CHGNet 0.3.0 weights pretrained on " + PRETRAINED_ON
            known = start if fit["hyperparams"].get("init") == "pretrained" else None
            parts.append(f"{name} starts from {known or 'random weights'}")
        elif fit["kind"] == "predictions":
            parts.append(
                f"the answers of {name} were made elsewhere, and what it has seen only its maker "
                "knows"
            )
        else:
            seen = fit["hyperparams"].get("pretrained_on")
            parts.append(
                f"{name} was given the fold's training rows, no target of a test row, and "
                + (f"weights that have seen {seen}" if seen else "states no data from elsewhere")
            )
    text = "; ".join(parts)
    return f"{text[0].upper() if text.startswith('the ') else text[0]}{text[1:]}."


def _joint_statement(inputs: ExperimentInputs) -> str:
    """What a joint pretraining has seen; empty without one."""
    pretrain = inputs.recipe.get("pretrain")
    if not pretrain:
        return ""
    return (
        f" At first it was trained on {listing(list(pretrain['tasks']))} together, on no row that "
        "is, or matches in structure, a test row of the fold in any of these tasks."
    )


def _soft_targets(inputs: ExperimentInputs) -> Json | None:
    teacher = inputs.recipe.get("teacher")
    if not teacher:
        return None
    kind = str(teacher["targets"])
    return {
        "kind": kind,
        "teachers": str(teacher["ensemble"]),
        "statement": _SOFT_TARGETS[kind],
    }


def _duplicates(report: Json) -> Json:
    """Counts over all folds from the duplicate report, and what they mean."""
    counts = report["all_folds"]
    n_test, formula = (int(counts[key]) for key in ("n_test", "n_test_same_formula"))
    structure = counts["n_test_same_structure"]
    match = (
        "whether they match in structure is not known here"
        if structure is None
        else f"{int(structure):,} match one in structure as well"
    )
    return {
        "same_formula": formula,
        "same_structure": structure,
        "n_test": n_test,
        "statement": (
            f"Near-copies: of {n_test:,} test crystals, {formula:,} have the formula of a training "
            f"crystal of their fold; {match}.{_nearness(counts)} {_of_folds(report.get('kind'))}"
        ),
    }


def _nearness(counts: Json) -> str:
    if "n_test_same_system" not in counts:
        return ""
    same, new = (int(counts[key]) for key in ("n_test_same_system", "n_test_new_element"))
    return (
        f" {same:,} are of elements that stand together in a training crystal too; {new:,} hold "
        "an element that no training crystal of their fold has."
    )


def _of_folds(kind: str | None) -> str:
    """What near-copies mean, by the kind of the split."""
    if kind in {None, "official", "random"}:
        return (
            "The folds are random, so this is part of the protocol; on crystals of a new kind, "
            "errors are probably larger."
        )
    return (
        f"The folds are cut by {_FOLDS[str(kind)]}, so the error is one for crystals that differ "
        "from the training crystals in that."
        if str(kind) in _FOLDS
        else "The folds are the user's own."
    )
