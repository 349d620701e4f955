"""The site through its rule: made of a finished study, and of that study's experiments."""

import json


def test_the_site_of_a_study_is_made_by_its_name(study):
    done = study.snakemake("results/tiny/site/index.html")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (study.results / "site" / "data" / "study.js").read_text()
    value = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    assert [each["name"] for each in value["experiments"]] == ["e0", "e3", "e4"]
    record = json.loads((study.results / "e4" / "results.json").read_text())
    assert value["experiments"][-1]["mae"] == record["metrics"]["pooled"]["mae"]
    assert (study.results / "site" / "index.html").is_file()
