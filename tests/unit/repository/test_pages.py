"""Pages name what exists: files, rooms with their floors, commands that hold together."""

import re
import tomllib

import pytest
import yaml

from paths import REPOSITORY

ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
# A path of the repository in backticks: with a slash, or a file's name at its top.
PATH = re.compile(r"`((?:scripts|rules|config|reports|docs|profiles|envs|tests|data)/[^`{}* ]*)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize(
    "page",
    [
        "docs/architecture.md",
        "CONTRIBUTING.md",
        "README.md",
        "docs/configuration.md",
        "docs/prediction.md",
    ],
)
def test_every_path_on_a_page_exists(page):
    place = REPOSITORY / page
    text = place.read_text()
    assert {name for name in PATH.findall(text) if not (REPOSITORY / name).exists()} == set()
    assert {name for name in LINK.findall(text) if not (place.parent / name).exists()} == set()


def test_the_architecture_page_names_enough_to_be_tested():
    assert len(set(PATH.findall(ARCHITECTURE))) > 40


def test_names_of_the_code_stand_in_the_file_beside_them():
    named = re.findall(r"`(\w{4,})` in `([^`]+)`", ARCHITECTURE)
    named += [("NEUTRAL", "scripts/foldwise/common/code.py")]
    assert len(named) > 2
    for name, path in named:
        assert re.search(rf"^{name}\b", (REPOSITORY / path).read_text(), re.MULTILINE), name


def test_the_floors_are_those_of_the_contract():
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = {
        room.strip(): len(layers) - at
        for at, layer in enumerate(layers)
        for room in layer.split("|")
    }
    table = re.findall(r"^\| (\d+) \| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert {room: int(floor) for floor, room in table} == floors


def test_inner_rooms_that_the_page_names_exist():
    rooms = re.findall(r"^\| \d+ \| `(\w+)` \|(.*)\|$", ARCHITECTURE, re.MULTILINE)
    for room, text in rooms:
        folder = REPOSITORY / "scripts" / "foldwise" / room
        inner = {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}
        assert inner == set(re.findall(r"`(\w+)`", text)), room


def test_the_citation_has_the_project_s_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]


def test_ci_runs_the_two_commands_of_the_readme():
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    matrix = workflow["jobs"]["readme"]["strategy"]["matrix"]
    readme = (REPOSITORY / "README.md").read_text()
    block = readme.split("```sh\n", 1)[1].split("```", 1)[0]
    assert matrix["command"] == [line.split("#")[0].strip() for line in block.strip().splitlines()]
    assert matrix["python"][0] == PROJECT["project"]["requires-python"].removeprefix(">=")


def test_paths_in_rules_are_quoted():
    """Every input, output and log in a shell command is; `FOLDWISE_CALL` quotes as a whole."""
    unquoted = []
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for command in re.findall(
            r"shell:\n((?: {8,}.*\n)+)|(?:COMMAND = \(\n((?: {4}.*\n)+))", path.read_text()
        ):
            text = "".join(command).replace("{{", "{").replace("}}", "}")
            text = re.sub(r"--command (['\"]).*?\1", "", text)
            unquoted += re.findall(r"\{(?:input|output|log)\b[^}:]*\}", text)
    assert unquoted == []
