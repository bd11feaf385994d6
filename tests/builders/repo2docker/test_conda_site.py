from __future__ import annotations

from pathlib import Path

import pytest
from repo2docker.buildpacks import conda
from ruamel.yaml import YAML

from hubtool.builders.repo2docker import conda_site
from hubtool.errors import HubtoolError

HERE = Path(conda.HERE)
MIRROR = "https://mirror.example/api/conda/conda-forge"


# Python 3.5's lock takes Python itself from Anaconda's own channel.
LOCKS = [path for path in sorted(HERE.glob("environment.py-*-*.lock")) if "py-3.5-" not in path.name]


def test_a_lock_with_packages_from_elsewhere_is_an_error() -> None:
    text = conda_site.lock_file((HERE / "environment.py-3.5-linux-64.lock").read_text(), MIRROR)
    with pytest.raises(HubtoolError, match=r"repo\.anaconda\.com"):
        conda_site.check_script(text, "environment.py-3.5-linux-64.lock")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_lock_comes_from_the_mirror_with_its_sums(lock: Path) -> None:
    before = lock.read_text()
    after = conda_site.lock_file(before, MIRROR)
    conda_site.check_script(after, lock.name)
    urls = [line for line in after.splitlines() if not line.startswith(("#", "@"))]
    assert urls
    assert all(line.startswith(f"{MIRROR}/") for line in urls)
    assert [line.partition("#")[2] for line in urls] == [
        line.partition("#")[2] for line in before.splitlines() if line.startswith("http")
    ]


def test_the_install_script_names_no_public_host() -> None:
    text = (HERE / "install-base-env.bash").read_text()
    changed, after, before = conda_site.install_script(text, MIRROR, keep=True)
    conda_site.check_script(changed, "install-base-env.bash")
    assert f'URL="{MIRROR}/${{CONDA_PLATFORM}}/micromamba-${{MAMBA_VERSION}}-0.tar.bz2"' in changed
    assert after in changed
    assert YAML(typ="safe").load(before)["channels"] == ["conda-forge"]
    condarc = YAML(typ="safe").load(after)
    assert condarc["channels"] == condarc["default_channels"] == [MIRROR]
    assert condarc["custom_multichannels"] == {"conda-forge": [MIRROR]}
    assert condarc["channel_alias"] == "https://mirror.example/api/conda"
    assert condarc["auto_update_conda"] is False


def test_an_unknown_install_script_is_an_error() -> None:
    with pytest.raises(HubtoolError, match=r"site\.conda_channel can't hold"):
        conda_site.install_script("#!/bin/bash\ncurl https://micro.mamba.pm/api\n", MIRROR, keep=True)


def test_a_script_that_asks_a_public_host_is_an_error() -> None:
    with pytest.raises(HubtoolError, match=r"micro\.mamba\.pm"):
        conda_site.check_script("curl https://micro.mamba.pm/api | tar x\n", "x.sh")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("channels:\n- conda-forge\n", f"channels:\n- {MIRROR}\n"),
        ("channels: [defaults, conda-forge] # both\n", f"channels: [{MIRROR}] # both\n"),
        ("channels:\n- conda-forge\n- bioconda\n- nodefaults\n", f"channels:\n- {MIRROR}\n- bioconda\n- nodefaults\n"),
        ("channels:\n- https://conda.anaconda.org/conda-forge/\n", f"channels:\n- {MIRROR}\n"),
        ("dependencies:\n- conda-forge::numpy=1\n- bioconda::x\n", "dependencies:\n- numpy=1\n- bioconda::x\n"),
        (
            "dependencies:\n- python=3.12 # why\n- pip:\n  - -e .\n",
            "dependencies:\n- python=3.12 # why\n- pip:\n  - -e .\n",
        ),
        ("", ""),
        ("- a list\n", "- a list\n"),
    ],
)
def test_an_environment_takes_its_packages_from_the_mirror(before: str, after: str) -> None:
    assert conda_site.environment(before.encode(), MIRROR, Path("environment.yml")).decode() == after


def test_a_channel_by_a_public_url_that_is_not_mirrored_is_an_error() -> None:
    data = b"channels:\n- conda-forge\n- https://conda.anaconda.org/bioconda\n"
    with pytest.raises(HubtoolError, match="mirror does not stand for") as caught:
        conda_site.environment(data, MIRROR, Path("environment.yml"))
    assert caught.value.where is not None
    assert caught.value.where.line == 3
