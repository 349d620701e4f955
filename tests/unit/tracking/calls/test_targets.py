import pytest

from foldwise.tracking.calls.targets import unknown_target

NAMES = ["e0", "e3", "e4"]
KNOWN = "Its experiments: e0, e3, e4."


@pytest.mark.parametrize(
    ("target", "root", "said"),
    [
        ("results/e9/results.json", "results", f"this study has no experiment 'e9'. {KNOWN}"),
        (
            "results/mine/e9/results.json",
            "results/mine",
            f"this study has no experiment 'e9'. {KNOWN}",
        ),
        (
            "results/mien/e4/results.json",
            "results/mine",
            "this study writes to results/mine/, not to results/mien/. "
            f"Ask for results/mine/e4/results.json. {KNOWN} "
            "Another study needs its own file: --configfile FILE.",
        ),
        (
            "results/mine/e9/results.json",
            "results",
            f"this study is not called 'mine': it writes to results/ itself. {KNOWN} "
            "Another study needs its file: --configfile FILE.",
        ),
        (
            "results/e4/result.json",
            "results",
            f"no rule makes it. Ask for results/e4/results.json. {KNOWN}",
        ),
        (
            "e3",
            "results/mine",
            "no rule has this name or makes this file. "
            f"Ask for results/mine/e3/results.json. {KNOWN}",
        ),
        (
            "results/models/baseline",
            "results",
            f"no rule makes it. Ask for results/e0/results.json. {KNOWN}",
        ),
    ],
)
def test_what_is_said_of_a_target(target, root, said):
    assert str(unknown_target(target, root, NAMES)) == f"{target}: {said}"
