"""Pages take measured figures from the files that a measurement has left."""

import pytest

from foldwise.common.errors import FoldwiseError
from maintenance.page_tables.tables import with_readme_tables

CSV = """stage,seconds,peak_bytes,what the user sees
read,1234.567,2500000,nothing
train,12.3456,1048576,"error: a | b"
predict,,70000000000,ends
"""


def page(rows):
    return f"before\n<!-- measured: results/some.csv -->\n{rows}<!-- end -->\nafter\n"


def test_figures_of_a_measurement_stand_on_the_page(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "some.csv").write_text(CSV)
    made = with_readme_tables(page("old\n"), tmp_path)
    assert made == page(
        "| stage | seconds | peak, MB | what the user sees |\n"
        "|---|---|---|---|\n"
        "| read | 1,235 | 2.5 | nothing |\n"
        "| train | 12.3 | 1.05 | error: a \\| b |\n"
        "| predict |  | 70,000 | ends |\n"
    )


def test_without_the_measurement_the_page_stays(tmp_path):
    with pytest.raises(FoldwiseError, match=r"no table of measured figures .*Run the measurement"):
        with_readme_tables(page("old\n"), tmp_path)
