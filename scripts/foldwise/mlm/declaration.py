"""The masked-LM config: every key that it may have, with type, bounds, default and meaning.

After a change, `python scripts/maintenance/write_config_pages.py` writes the JSON Schema and the
table of docs/mlm.md again. Where a default here is also that of a program's option, the program
takes it from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.settings import CLOSED, Name, Number, Share, Whole

Steps = Annotated[Whole, Field(ge=1)]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Shares:
    """Share of each part of a corpus; they add up to 1."""

    evaluation: Number = Field(gt=0, le=1, description="share of the part that samples come from")
    heldout: Share = Field(description="share of the part that stops trainings and judges searches")
    training: Share = Field(description="share of the part that models are trained on")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Corpus:
    """Texts, cut once into three parts that share no phrase."""

    texts: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = Field(
        description="`embedded`, `hf://owner/dataset/pattern`, or paths of JSON lines"
    )
    shares: Shares | None = Field(
        default=None, description="share of each part; they add up to 1. Without it, all evaluates"
    )
    seed: Whole = Field(default=0, ge=0, description="decides which text goes where")
    max_texts: Steps | None = Field(
        default=None, description="take only so many texts, chosen by hash; null takes all"
    )


@dataclass(frozen=True, config=CLOSED)
class SampleRules:
    """What a sample set takes."""

    per_text: Whole = Field(default=3, ge=1, description="samples of one text at most")
    per_noun: Whole = Field(default=20, ge=1, description="samples of one noun at most")
    max_samples: Steps | None = Field(
        default=None, description="samples at most, chosen by hash; null takes all"
    )
    min_chars: Whole = Field(default=20, ge=1, description="shorter texts are rejected")
    max_chars: Whole = Field(
        default=2000,
        ge=50,
        description="longer texts are cut into windows of whole lines or sentences",
    )
    sources: Literal["any", "equal"] = Field(
        default="any", description="`equal`: an equal part of `max_samples` from each source"
    )
    seed: Whole = Field(
        default=0, ge=0, description="decides which samples stay where a cap is exceeded"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class SampleSet(SampleRules):
    """A frozen sample set, made from the evaluation part of a corpus."""

    corpus: str = Field(description="one of `corpora`")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Baseline:
    """A known result to compare with."""

    checkpoint: str = Field(description="its name")
    note: str | None = Field(default=None, description="how it was trained")
    seq_len: Whole = Field(ge=8, description="sequence length of its measurement, tokens")
    real1: Share = Field(description="its Real@1")
    real5: Share = Field(description="its Real@5")
    lambada_top1: Share | None = Field(description="its LAMBADA@1, or null")
    samples_sha256: str | None = Field(
        default=None, description="hash of the samples that it was measured on, if known"
    )


@dataclass(frozen=True, config=CLOSED)
class BertSize:
    """Size of a BERT that is trained from scratch."""

    hidden: Whole = Field(default=128, ge=8, description="width")
    layers: Whole = Field(default=2, ge=1, description="layers")
    heads: Whole = Field(default=4, ge=1, description="heads of attention")
    vocabulary: Whole = Field(default=8000, ge=100, description="entries of the vocabulary at most")
    dropout: Number = Field(
        default=0.0, ge=0, le=0.9, description="share of activations that training drops"
    )


@dataclass(frozen=True, config=CLOSED)
class Network(BertSize):
    """A model that is trained from scratch."""

    max_length: Whole = Field(default=192, ge=16, description="longest sequence, tokens")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class MlmTraining:
    """Masked-LM training from random weights, `scripts/train_mlm.py`."""

    steps: Steps = Field(description="steps of the training")
    save_every: Steps = Field(description="steps between checkpoints")
    batch_size: Steps = Field(default=32, description="sequences per step")
    lr: Number = Field(default=5e-4, gt=0, le=1, description="peak learning rate")
    mask_rate: Share = Field(default=0.15, description="share of the tokens that are hidden")
    seed: Whole = Field(default=0, ge=0, description="decides everything random")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class EntityTraining:
    """Fine-tuning on later mentions of nouns, `scripts/run_entity_coref_finetune_v2.py`."""

    epochs: Steps = Field(description="passes through the training texts at most")
    measure_every: Steps = Field(default=1, description="epochs between two measurements")
    patience: Steps = Field(default=3, description="measurements without a gain until it stops")
    batch_size: Steps = Field(default=32, description="sequences per step")
    lr: Number = Field(default=1e-4, gt=0, le=1, description="peak learning rate")
    mask_rate: Share = Field(default=0.15, description="share of the tokens that are hidden")
    entity_fraction: Share = Field(
        default=0.8,
        description="share of the examples that hide mentions; the others are masked at random",
    )
    substitute: Share = Field(
        default=0.0, description="share of these whose nouns are exchanged; for small corpora"
    )
    seed: Whole = Field(default=0, ge=0, description="decides everything random")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Model:
    """A training that the workflow runs itself."""

    corpus: str = Field(description="one of `corpora`")
    threads: Steps = Field(description="CPU threads of a training")
    network: Network = Field(description="size of the model")
    mlm: MlmTraining = Field(description="masked-LM training")
    entity: EntityTraining | None = Field(
        default=None, description="fine-tuning on entities, if any"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Phase:
    """Checkpoints of one phase of a training."""

    name: Name = Field(description="`mlm` or `entity` for a model of this config, else your own")
    model: str | None = Field(default=None, description="one of `models`; or give `folder`")
    steps: Annotated[tuple[Steps | Literal["best"], ...], Field(min_length=1)] | None = Field(
        default=None,
        description="checkpoints of `model`; `best` is the one that early stopping chose",
    )
    folder: str | None = Field(
        default=None, description="a folder of checkpoint-N folders of your own"
    )
    from_step: Whole | None = Field(default=None, ge=0, description="first N of `folder`")
    to_step: Whole | None = Field(default=None, ge=0, description="last N of `folder`")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Run:
    """Checkpoints that are compared, in the order of their training."""

    samples: str = Field(description="one of `samples`")
    seq_len: Annotated[Whole, Field(ge=8)] | None = Field(
        default=None, description="longest sequence, tokens; null for the model's own"
    )
    limit: Steps | None = Field(default=None, description="ask only so many samples")
    compare: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="two checkpoints, before and after, as phase/checkpoint"
    )
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = Field(
        description="phases of the training"
    )


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class Evaluation:
    """How checkpoints are asked."""

    threads: Steps = Field(description="CPU threads of an evaluation")
    token_budget: Annotated[Whole, Field(ge=64)] | None = Field(
        description="padded tokens of a batch; null for the device's usual number"
    )
    matching: Literal["exact", "reference"] = Field(
        default="exact", description="whose rates are ranked; both are always measured"
    )
    multi_token: Literal["miss", "pll"] = Field(
        default="miss",
        description="nouns of several tokens are misses; `pll` also compares the nouns of a text "
        "by pseudo-log-likelihood, a metric of its own",
    )
    worst_n: Whole = Field(ge=0, le=100, description="sample texts per group")
    bootstrap: Whole = Field(ge=100, le=1_000_000, description="resamples of each interval")


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class MlmFile:
    """Masked-LM evaluation: texts, samples, checkpoints."""

    corpora: dict[Name, Corpus] = Field(description="texts, cut into three parts")
    samples: Annotated[dict[Name, SampleSet], Field(min_length=1)] = Field(
        description="sample sets, made from the evaluation part of a corpus"
    )
    lambada: str | None = Field(description="Ko-LAMBADA file, `hf://owner/dataset`, or null")
    baseline: Baseline | None = Field(description="a known result to compare with, or null")
    models: dict[Name, Model] = Field(description="trainings of the workflow")
    runs: Annotated[dict[Name, Run], Field(min_length=1)] = Field(
        description="which checkpoints are compared"
    )
    default_run: str = Field(description="the run that the target `mlm` makes")
    evaluation: Evaluation = Field(description="how checkpoints are asked")
