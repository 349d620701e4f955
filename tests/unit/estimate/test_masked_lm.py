import pytest

from foldwise.estimate.masked_lm import finetuning_steps
from foldwise.estimate.masked_lm_trials import EvaluationTrial, TrainingTrial, flags, read_training
from foldwise.estimate.trial import Ran


def log(elapsed):
    """Lines of a training: elapsed seconds after each step."""
    total = len(elapsed)
    return "\n".join(
        f"[10:00:00] step {step}/{total}  loss 1.0000  lr 2.00e-05  {seconds / step:.3f} s/step  "
        f"elapsed 0:0{seconds:.0f}  ETA 0:00"
        for step, seconds in enumerate(elapsed, start=1)
    )


def test_a_trial_tells_steps_from_checkpoints_and_from_all_else():
    """Steps of 0.5 s; the checkpoint after the second step takes 1 s; 4 s around all of it."""
    trial = read_training(Ran(log([0.5, 1.0, 2.5, 3.0]), 0, 7.0, 6.3, 0), 2)
    assert trial.seconds_per_step == pytest.approx(0.5, abs=0.01)
    assert trial.seconds_per_checkpoint == pytest.approx(1.0, abs=0.01)
    assert trial.overhead == pytest.approx(7.0 - 4 * 0.5 - 1.0, abs=0.03)


def test_the_last_checkpoint_is_part_of_the_overhead():
    trial = TrainingTrial(0.5, 1.0, 4.0, 0)
    assert trial.seconds(steps=4, save_every=2) == 4.0 + 4 * 0.5 + 1.0
    assert trial.seconds(steps=5, save_every=2) == 4.0 + 5 * 0.5 + 2.0
    assert EvaluationTrial(0.1, 5.0).seconds(110) == pytest.approx(16.0)


def test_a_fine_tuning_counts_its_steps_over_all_epochs():
    """As the Trainer: 230 passes through 147 texts in batches of 32, measured every 20 passes."""
    assert finetuning_steps({"epochs": 230, "measure_every": 20}, 147) == (1057, 92)
    assert finetuning_steps({"epochs": 1, "batch_size": 40}, 10) == (1, 1)


def test_options_are_given_as_the_rules_give_them():
    block = {"max_length": 96, "hidden": 16, "dropout": None}
    assert flags(block, "hidden") == ["--max-length", "96"]
