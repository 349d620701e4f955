"""The site file: what it may say, and what it makes of a rule's resources."""

import pytest
import yaml

from foldwise.cluster.call import site_of_call
from foldwise.cluster.site import VARIABLE, Site, read_site, resources_of
from foldwise.common.errors import FoldwiseError
from paths import REPOSITORY


class Options:
    def __init__(self, executor, profile=None):
        self.executor, self.workflow_profile, self.profile = executor, profile, None


def written(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_file_of_the_profile_asks_for_nothing_of_a_sites_own():
    site = read_site(REPOSITORY / "profiles" / "slurm" / "site.yaml")
    assert site == Site()
    assert resources_of(site, wants_gpu=False) == {}
    assert resources_of(site, wants_gpu=True) == {"gpu": 0}


def test_partition_account_and_gpu_reach_the_rules_that_they_are_for(tmp_path):
    site = read_site(
        written(
            tmp_path / "site.yaml",
            {
                "account": "mat42",
                "cpu": {"partition": "small"},
                "gpu": {"partition": "accel", "type": "h100", "qos": "long"},
            },
        )
    )
    assert resources_of(site, wants_gpu=False) == {
        "slurm_account": "mat42", "slurm_partition": "small"
    }  # fmt: skip
    assert resources_of(site, wants_gpu=True) == {
        "slurm_account": "mat42", "slurm_partition": "accel", "qos": "long",
        "gpu": 0, "gres": "gpu:h100:1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"acount": "x"}, "unknown key 'acount'. Allowed: account, cpu,"),
        ({"gpu": "h100"}, "gpu: 'h100' is not accepted. Allowed: key: value pairs of partition,"),
        ({"cores": 0}, "cores: 0 is not accepted. Allowed: a whole number of at least 1."),
        ({"short_jobs": "never"}, "short_jobs: 'never' is not accepted. Allowed: local, batched."),
        ({"gpu": {"kind": "h200"}}, "gpu: unknown key 'kind'"),
    ],
)
def test_a_wrong_site_file_is_one_line_of_file_and_key(tmp_path, content, line):
    path = written(tmp_path / "site.yaml", content)
    with pytest.raises(FoldwiseError) as caught:
        read_site(path)
    assert str(caught.value).startswith(f"{path}: {line}")


def test_no_yaml_and_no_file_are_one_line_too(tmp_path):
    (tmp_path / "site.yaml").write_text("account: [")
    with pytest.raises(FoldwiseError, match="valid YAML"):
        read_site(tmp_path / "site.yaml")
    with pytest.raises(FoldwiseError, match="does not exist"):
        read_site(tmp_path / "other.yaml")


def test_a_call_without_the_queue_has_no_site_and_its_jobs_have_that_of_their_call(tmp_path):
    written(tmp_path / "site.yaml", {"cores": 2})
    environment = {VARIABLE: "left/from/elsewhere"}
    assert site_of_call(Options(None), environment) is None
    assert environment == {}
    site = site_of_call(Options("slurm", str(tmp_path)), environment)
    assert site == Site(cores=2)
    assert site_of_call(None, environment) == site
    assert site_of_call(Options("slurm", None), environment) == Site()
    assert site_of_call(None, environment) is None
