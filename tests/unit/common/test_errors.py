import pytest

from foldwise.common.errors import FoldwiseError, run_program


def test_the_line_says_where_what_and_what_to_do():
    error = FoldwiseError("3 targets\n are  NaN", where="a.csv", hint="Remove\tthem.")
    assert str(error) == "a.csv: 3 targets are NaN. Remove them."
    assert (error.where, error.hint) == ("a.csv", "Remove\tthem.")


def test_a_mistake_ends_with_code_2_and_one_line(capsys):
    def main():
        raise FoldwiseError("no such key", where="x", hint="Add it.")

    with pytest.raises(SystemExit) as caught:
        run_program(main)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "error: x: no such key. Add it.\n")


def test_success_ends_with_code_0(capsys):
    with pytest.raises(SystemExit) as caught:
        run_program(lambda: None)
    assert caught.value.code == 0
    assert capsys.readouterr() == ("", "")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_program(lambda: print(1 / 0))
