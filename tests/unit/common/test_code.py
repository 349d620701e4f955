import ast
import re
from pathlib import Path

import pytest

from foldwise.common import code
from foldwise.common.code import NEUTRAL, code_of, sources_of
from paths import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"
PROGRAMS = sorted(
    str(path.relative_to(SCRIPTS))
    for folder in ("", "jobs", "maintenance")
    for path in (SCRIPTS / folder).glob("*.py")
)
TO_THE_LIBRARY = "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))\n"


def write(folder, **modules):
    for name, text in modules.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_imports_are_followed_to_their_end(tmp_path):
    write(
        tmp_path,
        program="from foldwise.one import f\nimport numpy\n",
        foldwise__one="from foldwise.two import g\nfrom foldwise import three\nimport foldwise\n",
        foldwise__two="def g():\n    from foldwise.group.four import h\n",
        foldwise__three="from foldwise.one import f\n",
        foldwise__unused="",
        foldwise__group__five="",
        foldwise__group__four="from foldwise.common.errors import E\n"
        "from foldwise.group import five\n",
    )
    found = sources_of("program.py", str(tmp_path))
    assert found == sorted(
        str(tmp_path / name)
        for name in (
            "program.py",
            "foldwise/one.py",
            "foldwise/two.py",
            "foldwise/three.py",
            "foldwise/group/five.py",
            "foldwise/group/four.py",
        )
    )


def test_the_hash_follows_what_decides_and_nothing_else(tmp_path):
    def made(name, **changes):
        files = {
            "program": "from foldwise.one import f\n",
            "foldwise__one": "from foldwise.common.errors import E\n",
            "foldwise__common__errors": "",
            "foldwise__unused": "",
        }
        write(tmp_path / name, **files | changes)
        return code_of("program.py", str(tmp_path / name))

    first = made("first")
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    neutral = {"foldwise__common__errors": "edited = 1\n", "foldwise__unused": "edited = 1\n"}
    assert made("neutral", **neutral) == first
    assert made("program", program="from foldwise.one import g\n") != first
    assert made("module", foldwise__one="edited = 1\n") != first


def test_every_rule_that_calls_a_program_depends_on_its_code():
    for path in (REPOSITORY / "rules").glob("*.smk"):
        for rule in re.split(r"(?m)^(?= *(?:use )?rule\b[^\n]*:$)", path.read_text())[1:]:
            name = rule.strip().splitlines()[0]
            # A rule that takes over another one takes its parameters too, unless it has its own.
            wanted = "params:" in rule if name.startswith("use") else "python scripts/" in rule
            if wanted and "fetch_submission" not in name:
                assert "code=code_of(" in rule, f"{path.name}: {name}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_names_existing_sources_by_relative_path(program, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    found = sources_of(program)
    assert f"scripts/{program}" in found
    assert len(set(found)) == len(found)
    for path in found:
        assert (REPOSITORY / path).is_file()
        assert path.rpartition("/")[2].removesuffix(".py") not in NEUTRAL


def test_programs_in_folders_find_the_library_from_anywhere():
    for program in PROGRAMS:
        before, found, _ = (SCRIPTS / program).read_text().partition("\nfrom foldwise")
        assert found
        assert (TO_THE_LIBRARY in before) == ("/" in program), program


def test_the_folder_of_programs_shows_what_a_user_calls():
    assert len([path for path in SCRIPTS.iterdir() if path.is_file()]) <= 16
    rules = "".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
    for program in (path.name for path in (SCRIPTS / "jobs").glob("*.py")):
        assert f"scripts/jobs/{program}" in rules, program


def test_the_modules_that_decide_an_ensemble_decide_no_teacher(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert "scripts/foldwise/prediction/averages.py" in sources_of("jobs/combine_predictions.py")
    assert "scripts/foldwise/prediction/averages.py" not in sources_of("jobs/train_model.py")
    assert "scripts/foldwise/training/fit.py" not in sources_of("jobs/combine_predictions.py")
    for module in (
        "network/chgnet", "network/transform", "study/recipe", "tasks/splits",
        "training/fit", "training/soft_targets",
    ):  # fmt: skip
        assert f"scripts/foldwise/{module}.py" in sources_of("jobs/train_model.py")


def test_every_import_of_the_library_is_found(monkeypatch):
    """Against Python's own reading of whole files."""
    monkeypatch.chdir(REPOSITORY)
    library = Path("scripts/foldwise")
    for path in Path("scripts").rglob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if _of_foldwise(node)]
        expected = set()
        for node in nodes:
            module = Path(*node.module.split(".")[1:])
            inner = [module / alias.name for alias in node.names]
            candidates = [module] if (library / f"{module}.py").exists() else inner
            expected |= {path for path in candidates if (library / f"{path}.py").exists()}
        found = {Path(*module.split(".")) for module in code._imported(path, library)}
        assert found == expected, path


def _of_foldwise(node):
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "foldwise"


def test_the_library_imports_neither_snakemake_nor_maintenance_nor_tests():
    helpers = {path.stem for path in (REPOSITORY / "tests" / "helpers").glob("*.py")}
    others = {"snakemake", "maintenance", "jobs", "tests", *helpers}
    for path in (SCRIPTS / "foldwise").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not others & {name.partition(".")[0] for name in names}, path
