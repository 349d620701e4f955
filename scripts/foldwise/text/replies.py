"""What a model replies to a prompt, and what it becomes as a number."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.text.numbers import OK, parse_number

FORMAT, STOP, LENGTH = "format", "stop", "length"


@dataclass(frozen=True)
class Reply:
    """One answer of a model.

    Attributes:
        output_text: What it wrote, or the median of what it might have.
        plain_text: What it writes in the task's format when each character is its most probable
            one; as `output_text` where it answered in its own words.
        tokens: Tokens of the answer.
        finish_reason: `format` where the number was complete, `stop` where the model ended its
            answer, `length` where it was cut.
        number_share: Probability that the model gives, among all tokens, to a first one of the
            format; NaN where that was not asked.
    """

    output_text: str
    plain_text: str
    tokens: int
    finish_reason: str
    number_share: float = math.nan

    def as_row(self, unit: str) -> dict[str, Any]:
        """The reply with parse status and values, as a row of `raw_outputs.parquet` has them."""
        status, value = parse_number(self.output_text, unit)
        plain_status, plain = parse_number(self.plain_text, unit)
        row = asdict(self)
        row["output_tokens"] = row.pop("tokens")
        return row | {
            "parse_status": status,
            "value": value,
            "plain_value": plain if plain_status == OK else math.nan,
        }
