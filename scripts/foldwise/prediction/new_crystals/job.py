"""One table of predictions for all structures of a source."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, content_sha256
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.prediction.exported.contents import ExportedModel, open_model
from foldwise.prediction.new_crystals.answers import Answerer
from foldwise.prediction.new_crystals.partial import PartialTable
from foldwise.prediction.new_crystals.parts import Part, parts
from foldwise.statistics.answer_intervals import CONFIDENCE
from foldwise.tasks.formats.reader import open_structures

NO_ANSWER = "no answer: "


@dataclass
class Written:
    """What stands in the finished table.

    Attributes:
        rows: Structures of the source.
        answered: Those with a prediction.
        warned: Those with a prediction and a warning.
        resumed: Rows that an interrupted call had left.
        seconds: Time of this call, reading included.
        statement: What the intervals are, in a sentence or two.
    """

    rows: int = 0
    answered: int = 0
    warned: int = 0
    resumed: int = 0
    seconds: float = 0.0
    statement: str = ""


def predict_structures(
    experiment: str | Path,
    structures: str | Path,
    out: str | Path,
    *,
    machine: Machine,
    confidence: float = CONFIDENCE,
    id_column: str | None = None,
    structure_column: str | None = None,
) -> Written:
    """Write `id,prediction,low,high,warning` for every structure of a source, in its order.

    A row without an answer says why in `warning`. Interrupted and called again, it goes on behind
    the last complete part, and ends with the same bytes on the same kind of machine.

    Args:
        experiment: Folder of an experiment, or its model folder.
        structures: What `foldwise.tasks.formats.reader.open_structures` takes.
        out: The CSV.
        machine: What it computes on.
        confidence: Nominal coverage of the intervals.
        id_column: As of `open_structures`.
        structure_column: As of `open_structures`.

    Raises:
        FoldwiseError: Model or source cannot be used, or a confidence is no share.
    """
    started = time.perf_counter()
    if not 0 < confidence < 1:
        raise FoldwiseError(
            f"{confidence} is no share", where="--confidence", hint="Give one such as 0.9."
        )
    model = open_model(experiment)
    source = open_structures(structures, id_column=id_column, structure_column=structure_column)
    work = {
        "model": model.sha256,
        "structures": content_sha256(Path(structures), apart_from=Path(out)),
        "total": source.total,
        "columns": [id_column, structure_column],
        "confidence": confidence,
        "device": machine.device,
        "engine": asdict(machine.engine),
    }
    table = PartialTable(Path(out), canonical_sha256(work))
    known = table.ids()
    rows = source.rows(workers=machine.threads, skip=frozenset(known))
    _append_answers(table, parts(rows, machine.threads), model, machine, confidence)
    table.finish()
    counts = _counted(Path(out))
    counts.resumed, counts.seconds = len(known), time.perf_counter() - started
    counts.statement = _statement(model, confidence)
    return counts


def _append_answers(
    table: PartialTable,
    converted: Iterator[Part],
    model: ExportedModel,
    machine: Machine,
    confidence: float,
) -> None:
    first = next(converted, None)  # the processes that convert are there before a device is
    if first is None:
        return
    answerer = Answerer(model, set_up_engine(machine), confidence)
    for part in chain([first], converted):
        table.append(_lines(part, answerer))


def _lines(part: Part, answerer: Answerer) -> Iterator[tuple[str, ...]]:
    answers = None if part.store is None else answerer.answer(part.store)
    row = 0
    for name, reason in zip(part.ids, part.reasons, strict=True):
        if answers is None or reason is not None:
            yield (name, "", "", "", f"{NO_ANSWER}{reason}")
            continue
        numbers = (answers.prediction[row], answers.low[row], answers.high[row])
        yield (name, *map(_number, numbers), answers.warnings[row])
        row += 1


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.9g}"


def _statement(model: ExportedModel, confidence: float) -> str:
    if model.intervals is None:
        return "No interval: model/README.md says what the predictions are."
    if model.intervals.conformal.rank(confidence) is None:
        held = model.intervals.conformal.n
        return f"No interval of {100 * confidence:g} %: the model held out {held} crystals."
    return (
        f"low to high: {100 * confidence:g} % interval for crystals like those of the training "
        "data; it promises nothing where there is a warning."
    )


def _counted(path: Path) -> Written:
    counts = Written()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            counts.rows += 1
            counts.answered += bool(row["prediction"])
            counts.warned += bool(row["prediction"] and row["warning"])
    return counts
