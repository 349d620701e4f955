"""The runs of a study: list, show, compare, rank, decide, rebuild, reap, prune, export."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.output import output_file
from foldwise.tracking import commands

RUN = "identity, its beginning, or an experiment's name"


def main() -> None:
    """Parse the command line and do one thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="results, or results/{run}"
    )
    actions = parser.add_subparsers(required=True)
    add_reading(actions)
    add_judging(actions)
    add_keeping(actions)
    options = parser.parse_args()
    print(options.call(options))


def add_reading(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Actions that change nothing."""
    action = actions.add_parser("list", help="all runs, the worst first")
    action.add_argument("--status", choices=("running", "complete", "failed", "stopped"))
    action.add_argument("--sort", help="a metric (default: what the runs are ranked by)")
    action.set_defaults(call=lambda o: commands.list_runs(o.results, o.status, o.sort))
    action = actions.add_parser("show", help="everything about one run")
    action.add_argument("run", help=RUN)
    action.add_argument("--format", choices=("text", "json"), default="text")
    action.add_argument("--attempt", type=int, help="its number (default: the record's)")
    action.set_defaults(call=lambda o: commands.show(o.results, o.run, o.format, o.attempt))
    action = actions.add_parser("compare", help="what differs between two runs")
    action.add_argument("first", help=RUN)
    action.add_argument("second", help=RUN)
    action.add_argument("--format", choices=("md", "json"), default="md")
    action.set_defaults(call=lambda o: commands.compare(o.results, o.first, o.second, o.format))
    action = actions.add_parser("rank", help="complete runs, the best first")
    action.add_argument("--metric", default="mae_mean")
    action.add_argument("--direction", choices=("min", "max"), help="what is better")
    action.set_defaults(call=lambda o: commands.rank(o.results, o.metric, o.direction))


def add_judging(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Actions that add to what is known of a run."""
    action = actions.add_parser("decide", help="keep or discard a run")
    action.add_argument("run", help=RUN)
    action.add_argument("verdict", choices=("keep", "discard"))
    action.add_argument("--reason", required=True)
    action.set_defaults(call=lambda o: commands.decide(o.results, o.run, o.verdict, o.reason))
    action = actions.add_parser("add-metric", help="add a number to a complete run")
    action.add_argument("run", help=RUN)
    action.add_argument("name")
    action.add_argument("value", type=float)
    action.set_defaults(call=lambda o: commands.add_metric(o.results, o.run, o.name, o.value))
    action = actions.add_parser(
        "stability", help="the stability log runs.yaml; with a run and a status, adds to it"
    )
    action.add_argument("run", nargs="?", help=RUN)
    action.add_argument("status", nargs="?", choices=("stable", "unstable", "investigating"))
    action.add_argument("--notes", default="")
    action.add_argument("--log", type=Path, help="default: runs.yaml of the repository")
    action.set_defaults(
        call=lambda o: (
            commands.list_stability(o.log)
            if o.run is None
            else commands.judge_stability(o.results, o.run, o.status, o.notes, o.log)
        )
    )


def add_keeping(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Actions on the records as a whole."""
    action = actions.add_parser("rebuild", help="make registry.json anew from the run folders")
    action.set_defaults(call=lambda o: commands.rebuild(o.results))
    action = actions.add_parser("reap", help="end the runs of calls that were killed")
    action.set_defaults(call=lambda o: commands.reap_runs(o.results))
    action = actions.add_parser("prune", help="what discarded runs have left; shows it by default")
    action.add_argument("--delete", action="store_true", help="delete it")
    action.set_defaults(call=lambda o: commands.prune(o.results, delete=o.delete))
    action = actions.add_parser("export", help="a run as a zip that runs again elsewhere")
    action.add_argument("run", help=RUN)
    action.add_argument("--out", type=output_file, help="default: foldwise_{identity}.zip")
    action.add_argument(
        "--include", nargs="+", default=(), metavar="FILE", help="untracked files to pack too"
    )
    action.set_defaults(call=lambda o: commands.export(o.results, o.run, o.out, o.include))
    action = actions.add_parser("export-mlflow", help="copy complete runs to an MLflow store")
    action.add_argument("--store", type=Path, help="folder (default: {results}/mlflow)")
    action.set_defaults(call=lambda o: commands.export_mlflow(o.results, o.store))


if __name__ == "__main__":
    run_program(main)
