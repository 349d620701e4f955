"""Study files that cannot be read are one line each."""

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.study.files import load_config


def test_a_study_file_that_is_not_there_or_no_mapping_is_one_line(tmp_path):
    absent, listed, broken = (tmp_path / name for name in ("absent.yaml", "list.yaml", "b.yaml"))
    listed.write_text("[1]")
    broken.write_text("task: [")
    for path in (absent, listed, broken):
        with pytest.raises(FoldwiseError) as caught:
            load_config([path])
        assert caught.value.where == str(path)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
