# After all rules: a target that none of them makes is answered with the names of the experiments.
# Snakemake reads its targets only after this file, hence its own parser here.
from snakemake.cli import get_argument_parser

from foldwise.tracking.calls.targets import unknown_target


def is_made(target):
    return (
        workflow.is_rule(target)
        or os.path.exists(target)
        or any(rule.is_producer(os.path.relpath(target)) for rule in workflow.rules)
    )


BY_COMMAND_LINE = {Path(sys.argv[0]).name, Path(sys.argv[0]).parent.name}
if workflow.is_main_process and "snakemake" in BY_COMMAND_LINE:
    for target in get_argument_parser().parse_args().targets:
        if not is_made(target):
            error = unknown_target(os.path.relpath(target), ROOT, STUDY.names)
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
