"""The masked-LM workflow on the embedded texts, with a training of seconds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from transformers import AutoTokenizer

from foldwise.tracking.commands import find_run
from foldwise.tracking.record.registry import Registry
from mlm_models import lengthened_deberta
from small_study import build_house
from warm_python import warm_python

OWN = "config/my_mlm.yaml"
SMALL = {
    "network": {"hidden": 16, "layers": 1, "heads": 2, "vocabulary": 2000, "max_length": 96},
    "mlm": {"steps": 4, "save_every": 2, "batch_size": 4, "lr": 1.0e-3},
    "entity": {"epochs": 1, "batch_size": 40, "lr": 1.0e-3, "patience": 2},
}


@pytest.fixture(scope="module")
def mlm_house(tmp_path_factory):
    house = build_house(tmp_path_factory.mktemp("mlm") / "house")
    config = yaml.safe_load((house.root / "config" / "mlm.yaml").read_text())
    config["models"]["demo"] |= SMALL
    config["runs"]["demo"]["phases"][0]["steps"] = [2, 4]
    config["runs"]["demo"]["compare"] = ["mlm/checkpoint-4", "entity/checkpoint-best"]
    config["evaluation"] |= {"bootstrap": 200, "worst_n": 1}
    (house.root / OWN).write_text(yaml.safe_dump(config))
    return house


def snakemake(house, *arguments):
    """As config/mlm.yaml says it of a study file of one's own."""
    return house.call(
        "snakemake", *arguments, "--cores", 2, "--config", f"mlm_config={OWN}", "--", "mlm"
    )


@pytest.fixture(scope="module")
def finished(mlm_house):
    done = snakemake(mlm_house)
    assert done.returncode == 0, done.stdout + done.stderr
    return mlm_house


def test_one_target_makes_samples_models_evaluations_and_summary(finished):
    root = finished.root / "results" / "mlm"
    summary = (root / "demo" / "summary.md").read_text()
    for name in ("mlm/checkpoint-2", "mlm/checkpoint-4", "entity/checkpoint-best"):
        assert f"`{name}`" in summary
        short = json.loads((root / "demo" / f"{name}_eval_results.json").read_text())
        assert 0.0 <= short["lambada_top1"] <= 1.0
        assert short["score"] is None  # ten passages are no measurement
        assert short["reference"]["real1"] >= short["exact"]["real1"]
        assert short["coref_samples"] > 80
    assert "Before and after" in summary
    assert not list(root.rglob("*.part"))


def test_a_second_call_has_nothing_to_do(finished):
    done = snakemake(finished, "-n")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_an_edited_setting_runs_only_what_follows(finished, tmp_path):
    house = finished.copy(tmp_path / "house")
    path = house.root / OWN
    config = yaml.safe_load(path.read_text())
    config["models"]["demo"]["entity"]["lr"] = 2.0e-3
    path.write_text(yaml.safe_dump(config))
    done = snakemake(house, "-n")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE))
    assert jobs == {
        "finetune_mlm_entities": "1",
        "evaluate_mlm_checkpoint": "1",
        "summarise_mlm": "1",
        "mlm": "1",
        "total": "4",
    }


@pytest.mark.slow  # buys: the pre-flight of a masked-LM run, by trials of the real programs
def test_the_preflight_estimates_every_job(finished, tmp_path):
    house = finished.copy(tmp_path / "house")
    root = house.root / "results" / "mlm"
    for gone in (root / "models", root / "demo"):
        shutil.rmtree(gone)
    done = house.program("preflight.py", "--mlm-run", "demo", "--mlm-config", OWN, "--cores", 2)
    assert done.returncode == 0, done.stderr
    assert "never been judged" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " ETA " in line]
    for job in ("3 evaluate_mlm_checkpoint", "1 train_mlm", "1 finetune_mlm_entities"):
        assert job in line
    done = house.program("preflight.py", "--mlm-run", "none", "--mlm-config", OWN)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "error: --mlm-run: unknown run 'none'. Allowed: demo."


def test_loops_over_a_folder_leave_out_what_an_evaluation_wrote_beside_its_checkpoint(finished):
    """`for each in FOLDER/checkpoint-*`, called again, finds results too."""
    folder = finished.root / "results" / "mlm" / "demo" / "mlm"
    for name in ("checkpoint-4_eval", "checkpoint-4_eval_results.json"):
        done = finished.program("evaluate_checkpoint.py", "--checkpoint", folder / name)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("no checkpoint: left out\n")
    own = finished.root / "runs" / "mlm_v2_scratch_1536"
    (own / "checkpoint-655_eval").mkdir(parents=True)
    done = finished.call("bash", "scripts/evaluate_all_mlm_v2_checkpoints.sh")
    assert done.returncode == 2
    assert "runs/mlm_v2_scratch_1536: 0 checkpoint(s)" in done.stdout


GUIDE_1536, GUIDE_2048 = "runs/mlm_v2_scratch_1536", "runs/mlm_v2_scratch_2048"
GUIDE_ANALYSIS = r"""
cat runs/mlm_v2_scratch_1536/checkpoint-655_eval_results.json | jq '.' > all
cat runs/mlm_v2_scratch_1536/checkpoint-655_eval_results.json | jq '{checkpoint, real1, real5, lambada_top1}' > four
find runs/mlm_v2_scratch_* -name "*_eval_results.json" | while read file; do
    echo "=== $(basename $(dirname $file))/$(basename $file) ==="
    jq '{checkpoint, real1, real5, lambada_top1}' "$file"
    echo ""
done > each
find runs/mlm_v2_scratch_* -name "*_eval_results.json" -exec jq -r '"\(.real1)\t\(.checkpoint)"' {} \; | sort -rn | head -10 > best
find runs/mlm_v2_scratch_* -name "*_eval_results.json" -exec jq -r '"(0.4 * \(.real1) + 0.3 * \(.real5) + 0.3 * \(.lambada_top1))\t\(.checkpoint)"' {} \; | sort -rn | head -10 > formulas
"""  # noqa: E501 - as the guide prints them


@pytest.fixture(scope="module")
def guide(finished, tmp_path_factory):
    """A house with the guide's folders: a checkpoint of each length, with random weights."""
    house = finished.copy(tmp_path_factory.mktemp("guide") / "house")
    trained = house.root / "results" / "mlm" / "models" / "demo" / "mlm" / "checkpoint-4"
    tokenizer = AutoTokenizer.from_pretrained(trained)
    for folder, length, step in ((GUIDE_1536, 1536, 655), (GUIDE_2048, 2048, 55)):
        place = house.root / folder / f"checkpoint-{step}"
        lengthened_deberta(place, tokenizer, length)
    return house


def printed(house, command):
    """A command as the guide prints it; its `python` starts warm."""
    first = f'export PATH="{Path(warm_python()).parent}:$PATH"'
    return house.call("bash", "-c", f"{first}\n{command}")


def test_the_guide_evaluates_one_checkpoint_and_all_of_them(guide):
    done = printed(
        guide,
        "python scripts/evaluate_checkpoint.py \\\n"
        "    --checkpoint runs/mlm_v2_scratch_1536/checkpoint-655 \\\n"
        "    --seq-len 1536 \\\n"
        "    --output-dir ./my_evaluation_results\n",
    )
    assert done.returncode == 0, done.stderr
    head = f"체크포인트: {GUIDE_1536}/checkpoint-655\n시퀀스 길이: 1536\nCoref 샘플: "
    assert head in done.stdout
    assert (guide.root / "my_evaluation_results" / "checkpoint-655_eval_results.json").exists()
    done = printed(guide, "bash scripts/evaluate_all_mlm_v2_checkpoints.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n2 of 2 evaluated in " in done.stdout
    (reports,) = (guide.root / "runs").glob("mlm_v2_evaluation_*")
    for folder, length, step in ((GUIDE_1536, 1536, 655), (GUIDE_2048, 2048, 55)):
        own = guide.root / folder / f"checkpoint-{step}_eval_results.json"
        assert json.loads(own.read_text())["seq_len"] == length
        copied = reports / Path(folder).name / own.name
        assert copied.read_bytes() == own.read_bytes()
    table = pd.read_csv(reports / "real_coref_entity_results.csv")
    assert list(table) == [
        "checkpoint",
        "seq_len",
        "lambada_top1",
        "real1",
        "real5",
        "score",
        "epoch",
    ]
    assert table["seq_len"].tolist() == [1536, 2048]


def test_the_guide_s_loops_ask_every_checkpoint_of_their_range_and_nothing_else(guide):
    (guide.root / GUIDE_1536 / "checkpoint-65").mkdir()  # below 300: whoever asks it fails
    done = printed(
        guide,
        """for ckpt in runs/mlm_v2_scratch_2048/checkpoint-*; do
    echo "Evaluating $ckpt..."
    python scripts/evaluate_checkpoint.py --checkpoint "$ckpt" --seq-len 2048
done""",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✅ 평가 결과") == 1
    assert done.stdout.count("Evaluating ") - done.stdout.count("no checkpoint: left out") == 1
    done = printed(
        guide,
        """for ckpt in runs/mlm_v2_scratch_1536/checkpoint-*; do
    checkpoint_num=$(basename "$ckpt" | sed 's/checkpoint-//')
    if [ "$checkpoint_num" -ge 300 ]; then
        python scripts/evaluate_checkpoint.py --checkpoint "$ckpt" --seq-len 1536
    fi
done""",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✅ 평가 결과") == 1
    assert "error: " not in done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_guide_s_lines_of_jq_read_what_was_written(guide):
    done = printed(guide, GUIDE_ANALYSIS)
    assert (done.returncode, done.stderr) == (0, "")
    files = {name: (guide.root / name).read_text() for name in ("each", "best", "formulas")}
    whole, four = (json.loads((guide.root / name).read_text()) for name in ("all", "four"))
    assert four == {name: whole[name] for name in ("checkpoint", "real1", "real5", "lambada_top1")}
    assert files["each"].startswith("=== mlm_v2_scratch_")
    assert files["each"].count('"lambada_top1"') == 2
    rates = [float(line.split("\t")[0]) for line in files["best"].splitlines()]
    assert len(rates) == 2
    assert rates == sorted(rates, reverse=True)
    formula = r"\(0\.4 \* [\d.e-]+ \+ 0\.3 \* [\d.e-]+ \+ 0\.3 \* [\d.e-]+\)\truns/mlm_v2_\S+"
    assert len(re.findall(formula, files["formulas"])) == 2


def test_the_guide_s_search_runs_as_a_program(guide):
    done = printed(
        guide,
        f"python coref_automl/tune.py --checkpoint {GUIDE_1536}/checkpoint-655"
        " --dataset results/mlm/corpora/law --samples results/mlm/samples/law.jsonl"
        " --trials 1 --epochs 1 1 --batch-size 40 --max-length 96 --output-dir runs/search",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 trial, best real1 0.")
    assert done.stdout.endswith("runs/search/trial-0/checkpoint-best\n")
    found = find_run(Registry(guide.root / "results"), "runs/search")
    assert (found["status"], found["ranked_by"], found["direction"]) == ("complete", "real1", "max")
    best = json.loads((guide.root / "runs" / "search" / "best.json").read_text())
    assert found["metrics"]["real1"] == best["value"]
    assert {"best.json", "history/trials.csv"} < set(found["artifact_paths"])


def test_a_config_mistake_is_one_line(finished, tmp_path):
    house = finished.copy(tmp_path / "house")
    path = house.root / OWN
    path.write_text(path.read_text().replace("default_run: demo", "default_run: nothing"))
    done = snakemake(house, "-n")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: mlm config: default_run")


def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(finished):
    done = finished.program("evaluate_checkpoint.py", "--checkpoint", "runs/none")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: runs/none: no such folder. Check --checkpoint."
    assert done.stdout == ""


def test_a_killed_evaluation_leaves_nothing_that_looks_done(finished, tmp_path):
    checkpoint = "results/mlm/models/demo/mlm/checkpoint-4"
    arguments = ["--checkpoint", checkpoint, "--cache-dir", tmp_path / "cache", "--output-dir",
                 tmp_path / "out", "--device", "cpu", "--token-budget", "96"]  # fmt: skip
    command = [sys.executable, "scripts/evaluate_checkpoint.py", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=finished.root, env=finished.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        stores = list((tmp_path / "cache").glob("*.jsonl")) if (tmp_path / "cache").exists() else []
        if stores and stores[0].read_text().count("\n") >= 3:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "checkpoint-4_eval_results.json").exists()
    done = finished.call(*command)
    assert done.returncode == 0, done.stderr
    assert "answers are known already" in done.stderr
    fresh = [part.replace("/cache", "/fresh").replace("/out", "/again") for part in command[2:]]
    assert finished.program("evaluate_checkpoint.py", *fresh).returncode == 0
    first, second = ((tmp_path / name / "checkpoint-4_eval") for name in ("out", "again"))
    for path in first.rglob("*"):
        if path.is_file() and path.name not in ("README.txt", "results.json"):
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path
