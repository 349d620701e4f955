"""The figure of how far recipes err together."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from foldwise.common.figure_style import STYLE
from foldwise.experiment.figures.members import matrix_figure

NAMES = ["matgl_network", "soap_kernel", "baseline", "boosting"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_word_stays_within_the_figure(count):
    matrix = np.full((count, count), 0.25)
    np.fill_diagonal(matrix, 1.0)
    with rc_context(STYLE):
        figure = matrix_figure(NAMES[:count], matrix)
        FigureCanvasAgg(figure).draw()
        words = {
            text.get_text(): text.get_window_extent()
            for text in figure.findobj(Text)
            if text.get_text().strip()
        }
    assert len(words) > count
    assert min(extent.x0 for extent in words.values()) >= 0
    assert max(extent.x1 for extent in words.values()) <= figure.bbox.x1
