"""Write the folder of an experiment: record, README, groups, figures, diagnostics."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.common.errors import run_program
from foldwise.common.files import read_json
from foldwise.common.folder import CONTENT
from foldwise.common.output import output_folder
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.inputs.types import InputPaths
from foldwise.experiment.job import write_experiment
from foldwise.experiment.review.verdict import review_message, screen_lines
from foldwise.tracking.record.lifecycle import complete_experiment


def main() -> None:
    """Parse the arguments, write the folder, print the review and the headline number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", required=True, help="name, e.g. e4")
    parser.add_argument("--config", required=True, help="resolved experiment, JSON")
    parser.add_argument("--targets", required=True, help="targets.parquet of the task")
    parser.add_argument("--card", required=True, help="card.json of the task")
    parser.add_argument("--dataset-failures", required=True, help="failures.csv of the dataset")
    parser.add_argument("--graph-failures", help="failures.csv of the graphs, if there are any")
    parser.add_argument("--duplicates", required=True, help="duplicates.json of the splits")
    parser.add_argument("--splits", required=True, nargs="+", help="fold_*.json, one per fold")
    parser.add_argument("--fits", nargs="*", default=[], help="fit.json, one per model")
    parser.add_argument("--histories", nargs="*", default=[], help="history.csv, as --fits")
    parser.add_argument("--predictions", nargs="*", default=[], help="test.parquet, as --fits")
    parser.add_argument("--timings", nargs="*", default=[], help="test_timing.json, as --fits")
    parser.add_argument("--held-out", nargs="*", default=[],
                        help="answers for held-out rows, as --fits")  # fmt: skip
    parser.add_argument("--checkpoints", nargs="*", default=[],
                        help="model.safetensors, as --fits")  # fmt: skip
    parser.add_argument("--calibrations", nargs="*", default=[],
                        help="calibration.json of views, as --fits")  # fmt: skip
    parser.add_argument("--submissions", nargs="*", default=[],
                        help="scores.json, one per recorded teacher")  # fmt: skip
    parser.add_argument("--submission-predictions", nargs="*", default=[],
                        help="predictions.parquet, as --submissions")  # fmt: skip
    parser.add_argument("--combinations", nargs="*", default=[],
                        help="how recorded teachers were combined, as --splits")  # fmt: skip
    parser.add_argument("--ensembles", nargs="*", default=[], help="test.parquet, as --splits")
    parser.add_argument("--mixed", nargs="*", default=[],
                        help="how models of several recipes were combined")  # fmt: skip
    parser.add_argument("--raw-outputs", nargs="*", default=[],
                        help="raw_outputs.parquet of language models")  # fmt: skip
    parser.add_argument("--compare", nargs="*", default=[], help="folders of other experiments")
    parser.add_argument("--star-comparisons", type=int, default=1,
                        help="comparisons of the study that can have a star")  # fmt: skip
    parser.add_argument("--command", help="the command that makes it again, for the record")
    parser.add_argument(
        "--out",
        type=output_folder(*CONTENT),
        required=True,
        help="folder to write; an older one is replaced",
    )
    arguments = vars(parser.parse_args())
    experiment, out, command, family = (
        arguments.pop(key) for key in ("experiment", "out", "command", "star_comparisons")
    )
    inputs = load_inputs(InputPaths(**arguments), experiment, family)
    review = write_experiment(inputs, out, command)
    complete_experiment(out)
    print("\n".join(screen_lines(read_json(out / "results.json"), review)))
    print(f"all checks: {out / 'README.txt'}")
    message = review_message(experiment.upper(), review)
    if message is not None:
        print(message, file=sys.stderr)


run_program(main)
