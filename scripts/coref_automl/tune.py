"""Evaluate or search by the names that users of MLM v2 know: a thin face of foldwise.mlm.

`eval_real_coref_top1(checkpoint, samples, cache)` and `eval_real_coref_top5` give the two rates of
a checkpoint. Run as a program it is scripts/tune_mlm.py.
"""

import runpy
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from foldwise.mlm.training.tuning import (  # noqa: E402 - the library lies beside this folder
    eval_real_coref_top1,
    eval_real_coref_top5,
)

__all__ = ["eval_real_coref_top1", "eval_real_coref_top5"]

if __name__ == "__main__":
    runpy.run_path(str(SCRIPTS / "tune_mlm.py"), run_name="__main__")
