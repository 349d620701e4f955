"""The cheapest faults of a cluster, one after the other in one study on a real Slurm of two nodes.

`make cluster-test` injects all faults, each into a run of its own.
"""

import json
import random
import shutil
import time

import pytest

from maintenance.testbed.faults import at_random
from maintenance.testbed.machine import test_cluster as real_cluster
from maintenance.testbed.machine import what_is_missing
from maintenance.testbed.study import TestStudy as StudyOnCluster
from maintenance.testbed.study import add_profile
from small_study import BASELINE, CONFIG, TASK

MISSING = what_is_missing()
SOON = 2.0  # seconds from a training's first step to a fault, at most
# Long enough for three faults, short enough for a test.
RECIPE = {**BASELINE, "epochs": 200, "patience": 200, "batch_size": 2}


@pytest.mark.slow  # buys: a study survives a cluster, on a real one
@pytest.mark.skipif(MISSING is not None, reason=f"no test cluster: {MISSING}")
def test_a_study_survives_the_cheapest_faults_with_the_same_bytes(study, tmp_path):
    """A cancelled training, a controller that restarts, and kill -9 of Snakemake itself."""
    house = study.copy(tmp_path / "house")
    for name in ("models", "predictions", "e0", "runs"):
        shutil.rmtree(house.results / name)
    (house.results / "registry.json").unlink()
    add_profile(house.root, {"cpu": {"partition": "cpu"}, "cores": 1})
    house.write_config("longer.json", recipes={**CONFIG["recipes"], "baseline": RECIPE})
    chance = random.Random(14)
    with real_cluster() as cluster:
        on_cluster = StudyOnCluster(house.root, cluster, run=CONFIG["run"], config="longer.json")
        call = on_cluster.begin()
        job, _ = at_random(on_cluster, call, chance, SOON)
        cluster.ask("scancel", job)
        at_random(on_cluster, call, chance, SOON)
        cluster.stop_controller()
        time.sleep(5)
        cluster.start_controller()
        on_cluster.wait_until(call, lambda: "ended: CANCELLED" in call.said(), "the end is told")
        at_random(on_cluster, call, chance, SOON)
        call.kill()
        again = on_cluster.begin(name="again")
        assert again.wait() == 0, call.said() + again.said()
    assert "of a Snakemake that is gone are in the queue: cancelled" in again.said()
    assert on_cluster.endings().count("complete") == 1
    alone = tmp_path / "alone"
    done = study.program("jobs/train_model.py", *study.training(alone, recipe=json.dumps(RECIPE)))
    assert done.returncode == 0, done.stderr
    made = house.results / f"models/baseline/{TASK}/fold_0/seed_0"
    for name in ("model.safetensors", "history.csv"):
        assert (made / name).read_bytes() == (alone / name).read_bytes()
