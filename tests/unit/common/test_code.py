import ast

import pytest

from foldwise.common.code import NEUTRAL, _imported, _modules, sources_of
from paths import REPOSITORY

PROGRAMS = sorted(path.name for path in (REPOSITORY / "scripts").glob("*.py"))


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


def test_imports_are_read_as_python_reads_them(tmp_path):
    """Every source of the repository, by a syntax tree, and a few ways to write an import."""
    odd = tmp_path / "odd.py"
    odd.write_text(
        "from foldwise.common.files import (  # all of them\n    read_json as read,\n"
        "    write_json,  # and this one\n)\n"
        "if True:\n    from foldwise.tasks import official, splits as cuts  # noqa\n"
        "import numpy\nfrom foldwise.nowhere import x\nfrom foldwise import study\n"
    )
    library = REPOSITORY / "scripts" / "foldwise"
    sources = [odd, *(REPOSITORY / "scripts").rglob("*.py")]
    assert len(sources) > 200
    for path in sources:
        assert _imported(path, library) == by_syntax_tree(path, library), path


def by_syntax_tree(path, library):
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "foldwise":
            names = [alias.name for alias in node.names]
            modules.update(_modules(library, (node.module or "").partition(".")[2], names))
    return modules


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_names_existing_sources_by_relative_path(program, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    found = sources_of(program)
    assert f"scripts/{program}" in found
    assert len(set(found)) == len(found)
    for path in found:
        assert (REPOSITORY / path).is_file()
        assert path.rpartition("/")[2].removesuffix(".py") not in NEUTRAL


def test_the_modules_that_decide_an_ensemble_decide_no_teacher(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert "scripts/foldwise/prediction/averages.py" in sources_of("combine_predictions.py")
    assert "scripts/foldwise/prediction/averages.py" not in sources_of("train_model.py")
    assert "scripts/foldwise/training/fit.py" not in sources_of("combine_predictions.py")
    for module in (
        "network/chgnet", "network/transform", "study/recipe", "tasks/splits",
        "training/fit", "training/soft_targets",
    ):  # fmt: skip
        assert f"scripts/foldwise/{module}.py" in sources_of("train_model.py")


def test_the_library_never_imports_snakemake():
    for path in (REPOSITORY / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("snakemake")], path
