"""`eval_real_coref_top1` and `eval_real_coref_top5` at the path that the guide names.

`eval_real_coref_top1(checkpoint, samples, cache)` gives a rate of a checkpoint. Run as a program it
is scripts/tune_mlm.py.
"""

import runpy
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from foldwise.mlm.training.tuning import (  # noqa: E402 - the library lies in scripts/
    eval_real_coref_top1,
    eval_real_coref_top5,
)

__all__ = ["eval_real_coref_top1", "eval_real_coref_top5"]

if __name__ == "__main__":
    runpy.run_path(str(SCRIPTS / "tune_mlm.py"), run_name="__main__")
