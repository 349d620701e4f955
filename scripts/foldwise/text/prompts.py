"""Prompts: instructions and examples first, the crystal last, so that beginnings are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foldwise.study.outside.text import TextRecipe, filled
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DecimalFormat

Message = dict[str, str]


@dataclass(frozen=True)
class Prompt:
    """One question as the model gets it.

    Attributes:
        id: Id of the crystal.
        text: The whole prompt, chat template applied.
        tokens: Its tokens.
        beginning: What it shares with others: prompts of one beginning are answered together.
    """

    id: str
    text: str
    tokens: tuple[int, ...]
    beginning: str


@dataclass(frozen=True)
class PromptMaker:
    """Makes the prompts of one recipe and fold.

    Attributes:
        model: Whose template and tokenizer are used.
        settings: The recipe.
        format: How answers are written.
        target_name: Name of the target.
        unit: Its unit.
    """

    model: LanguageModel
    settings: TextRecipe
    format: DecimalFormat
    target_name: str
    unit: str

    def prompt(
        self, crystal_id: str, text: str, examples: Sequence[tuple[str, float]] = ()
    ) -> Prompt:
        """The prompt about one crystal.

        Args:
            crystal_id: Its id; it does not enter the text.
            text: Its text.
            examples: Text and target of the examples.
        """
        shown: list[Message] = [
            {"role": "system", "content": self._fill(self.settings.instructions)}
        ]
        for described, target in examples:
            shown.append({"role": "user", "content": self.question(described)})
            shown.append({"role": "assistant", "content": self.format.text(target)})
        asked = {"role": "user", "content": self.question(text)}
        whole = self.model.templated([*shown, asked])
        beginning = "\0".join(f"{one['role']}\0{one['content']}" for one in shown)
        return Prompt(crystal_id, whole, self.model.tokens(whole), beginning)

    def question(self, text: str) -> str:
        """What is asked about one crystal."""
        return self._fill(self.settings.question, crystal=text)

    def _fill(self, template: str, **values: str) -> str:
        shared = {"target_name": self.target_name, "unit": self.unit}
        return filled(template, shared | {"format": self.format.describe()} | values)
