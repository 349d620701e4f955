"""What a call refuses, in one line."""

import pytest

from foldwise.common.errors import FoldwiseError


def message(function, *arguments):
    with pytest.raises(FoldwiseError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
