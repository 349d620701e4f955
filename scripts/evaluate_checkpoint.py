"""Evaluate a masked-LM checkpoint: Real@1, Real@5, LAMBADA@1, the composite score."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.files import read_json
from foldwise.common.options import AtLeastOne
from foldwise.mlm.report.places import folder_of, is_result, results_path
from foldwise.mlm.settings import DEFAULT_CONFIG, ROOT, read_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="folder of the model")
    parser.add_argument("--seq-len", type=int, help="longest sequence; the model's own if left out")
    parser.add_argument("--output-dir", type=Path, help="the checkpoint's parent if left out")
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, help="gives what is left out below"
    )
    parser.add_argument("--samples", type=Path, help="sample file")
    parser.add_argument("--lambada", help="Ko-LAMBADA file, or hf://owner/dataset")
    parser.add_argument("--baseline", help="known result to compare with, as JSON; null for none")
    parser.add_argument(
        "--training-texts", type=Path, nargs="*", default=[], help="to look for an overlap"
    )
    parser.add_argument("--limit", type=int, help="ask only so many samples; marks it partial")
    parser.add_argument("--limit-seed", type=int, default=0, help="decides which")
    parser.add_argument("--token-budget", action=AtLeastOne, help="padded tokens of a batch")
    parser.add_argument(
        "--matching", choices=("exact", "reference"), help="whose rates have the short names"
    )
    parser.add_argument(
        "--multi-token", choices=("miss", "pll"), help="pll: compare the nouns of a text as well"
    )
    parser.add_argument("--worst-n", type=int, help="sample texts per group")
    parser.add_argument("--bootstrap", type=int, help="resamples of each interval")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--cache-dir", type=Path, default=Path(ROOT) / "cache")
    parser.add_argument("--csv", type=Path, help="append a row to this table of checkpoints")
    parser.add_argument(
        "--registry", type=Path, default=Path("results"), help="where the run is recorded"
    )
    options = parser.parse_args()
    if is_result(options.checkpoint):
        print(f"{options.checkpoint}: the result of an evaluation, no checkpoint: left out")
    else:
        _evaluate(options)


def _evaluate(options: argparse.Namespace) -> None:
    # Seconds to import, and a loop over checkpoint-* meets two results beside every checkpoint.
    from foldwise.mlm.evaluation.job import EvaluationSettings  # noqa: PLC0415
    from foldwise.mlm.job import SingleRun, given_baseline  # noqa: PLC0415
    from foldwise.mlm.making import make_missing  # noqa: PLC0415
    from foldwise.mlm.recording.evaluation import record_evaluation  # noqa: PLC0415
    from foldwise.mlm.report.folder import add_to_table  # noqa: PLC0415
    from foldwise.mlm.texts.hub import is_hub  # noqa: PLC0415

    study = read_study(options.config)
    config = study.config
    depth = config["evaluation"]
    settings = EvaluationSettings(
        seq_len=options.seq_len,
        limit=options.limit,
        limit_seed=options.limit_seed,
        token_budget=options.token_budget or depth["token_budget"],
        device=options.device,
        threads=options.threads,
        multi_token=options.multi_token or depth.get("multi_token", "miss"),
    )
    default_set = config["runs"][config["default_run"]]["samples"]
    samples = options.samples or Path(ROOT) / "samples" / f"{default_set}.jsonl"
    lambada = options.lambada or config["lambada"]
    make_missing(study, samples, lambada, options.threads)
    if options.lambada and not is_hub(options.lambada) and not Path(options.lambada).exists():
        raise FoldwiseError(
            "the file does not exist", where=options.lambada, hint="Check --lambada."
        )
    run = SingleRun(
        checkpoint=options.checkpoint,
        output_dir=options.output_dir,
        samples=samples,
        lambada=lambada,
        baseline=given_baseline(options.baseline, config["baseline"]),
        training_texts=options.training_texts,
        worst_n=depth["worst_n"] if options.worst_n is None else options.worst_n,
        resamples=options.bootstrap or depth["bootstrap"],
        cache=options.cache_dir,
        matching=options.matching or depth.get("matching", "exact"),
    )
    print(record_evaluation(options.registry, run, settings))
    if options.csv is not None:
        folder = folder_of(options.checkpoint, options.output_dir)
        add_to_table(options.csv, read_json(results_path(folder)))


if __name__ == "__main__":
    run_program(main)
