"""The masked-LM config: the default is valid, and each mistake is one line that names its key."""

import copy

import pytest
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.settings import DEFAULT_CONFIG, parse_study, read_study

DEFAULT = yaml.safe_load(DEFAULT_CONFIG.read_text())


def changed(path, value):
    config = copy.deepcopy(DEFAULT)
    place = config
    *front, last = path
    for key in front:
        place = place[key]
    place[last] = value
    return config


def test_the_default_run():
    study = read_study()
    names = [one.name for one in study.run_checkpoints("demo")]
    assert names == ["mlm/checkpoint-100", "mlm/checkpoint-300", "entity/checkpoint-best"]
    first = study.checkpoint("demo", names[0])
    assert first.folder == "results/mlm/models/demo/mlm/checkpoint-100"
    assert len(names) >= 3


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("corpora", "law", "text"), ["embedded"], "unknown key 'text'. Allowed: texts"),
        (("corpora", "law", "texts"), [], "corpora.law.texts"),
        (("corpora", "law", "shares", "training"), 0.5, "do not add up to 1"),
        (("samples", "law", "corpus"), "lore", "samples.law.corpus: unknown name 'lore'"),
        (("samples", "law", "per_text"), 0, "samples.law.per_text"),
        (("models", "demo", "corpus"), "lore", "models.demo.corpus"),
        (("models", "demo", "mlm", "lr"), 2, "models.demo.mlm.lr"),
        (("models", "demo", "mlm", "steps"), "many", "models.demo.mlm.steps"),
        (("runs", "demo", "samples"), "lore", "runs.demo.samples"),
        (("runs", "cache"), DEFAULT["runs"]["demo"], "runs"),
        (("runs", "demo", "phases", 0, "steps"), [150], "unknown name 150. Allowed: 100, 200, 300"),
        (("runs", "demo", "phases", 1, "steps"), [40], "early stopping decides"),
        (("runs", "demo", "phases", 0, "model"), "other", "unknown name 'other'"),
        (("runs", "demo", "phases", 0, "name"), "wild", "Allowed: mlm, entity"),
        (("runs", "demo", "phases", 1, "name"), "mlm", "a phase is named twice"),
        (("runs", "demo", "phases", 0, "folder"), "runs/x", "neither or both of model"),
        (
            ("runs", "demo", "compare"),
            ["mlm/checkpoint-1", "mlm/checkpoint-300"],
            "runs.demo.compare",
        ),
        (("default_run",), "other", "default_run: unknown name 'other'"),
        (("baseline", "real1"), 67.78, "baseline"),
        (("evaluation", "bootstrap"), 3, "evaluation.bootstrap"),
    ],
)
def test_mistakes(path, value, said):
    with pytest.raises(FoldwiseError) as caught:
        parse_study(changed(path, value))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_of_the_user_s_own(tmp_path):
    for step in (65, 130, 655, 1300):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-130_eval").mkdir()
    (tmp_path / "checkpoint-700_eval_results.json").touch()
    phase = {"name": "mlm", "folder": str(tmp_path), "from_step": 100, "to_step": 1000}
    config = changed(("runs", "mine"), {"samples": "law", "phases": [phase]})
    names = [one.name for one in parse_study(config).run_checkpoints("mine")]
    assert names == ["mlm/checkpoint-130", "mlm/checkpoint-655"]
    phase["from_step"] = 900
    with pytest.raises(FoldwiseError, match="there is no checkpoint-N folder"):
        parse_study(config).run_checkpoints("mine")


def test_files_that_are_no_config(tmp_path):
    with pytest.raises(FoldwiseError, match="does not exist"):
        read_study(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(FoldwiseError, match="valid YAML"):
        read_study(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(FoldwiseError, match=r"config: None is not accepted\. Allowed: key: value"):
        read_study(tmp_path / "a.yaml")
