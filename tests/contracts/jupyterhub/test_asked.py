"""What the files of a repository ask for: cases as data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.jupyterhub.asked import asked_for
from hubtool.contracts.jupyterhub.asked_r import install_r

LOCK = '[packages]\nnumpy = "*"\n[dev-packages]\npytest = {version = "*"}\n'
REPOSITORIES: dict[str, tuple[Mapping[str, str], list[str]]] = {
    "nothing": ({}, []),
    "conda, with pip": (
        {"environment.yml": "dependencies:\n- python=3.12\n- conda-forge::xarray>=1=py*\n- pip:\n  - a_b[extra]==1\n"},
        ["conda python", "conda xarray", "pypi a_b"],
    ),
    "conda by its other name": ({"environment.yaml": "dependencies: [Numpy]"}, ["conda numpy"]),
    "requirements.txt beside environment.yml is not read": (
        {"environment.yml": "dependencies: [numpy]", "requirements.txt": "pandas"},
        ["conda numpy"],
    ),
    "but with R it is": (
        {"environment.yml": "dependencies: [numpy]", "requirements.txt": "pandas", "runtime.txt": "r-4.4-2026-01-01"},
        ["conda numpy", "pypi pandas"],
    ),
    "what environment.yml's pip names by file": (
        {"environment.yml": "dependencies: [{pip: [-r more.txt]}]", "more.txt": "pandas"},
        ["pypi pandas"],
    ),
    "pip's lines": (
        {
            "requirements.txt": "# none\n\n--index-url https://index.example/simple\n-c limits.txt\nnumpy>=1.2 # why\n"
            "scipy==1 \\\n  --hash=sha256:aa\n-e git+https://forge.example/a/b.git@main#egg=tool\n"
            "other @ https://forge.example/o.whl\n./local\n-e .\nhttps://forge.example/x.zip\n-r more.txt\n",
            "more.txt": "-r requirements.txt\nnumpy\nlast\n",
        },
        ["pypi numpy", "pypi scipy", "pypi tool", "pypi other", "pypi last"],
    ),
    "a file of requirements that is not there": ({"requirements.txt": "-r gone.txt\na1"}, ["pypi a1"]),
    "Pipfile": ({"Pipfile": LOCK, "requirements.txt": "no"}, ["pypi numpy", "pypi pytest"]),
    "only its lock": (
        {"Pipfile.lock": '{"default": {"numpy": {"markers": "python_version >= \'3\'"}}, "develop": {"black": {}}}'},
        ["pypi numpy", "pypi black"],
    ),
    "uv": (
        {
            "pyproject.toml": '[project]\nname = "x"\ndependencies = ["numpy>=2", "a; os_name == \'nt\'"]\n'
            '[dependency-groups]\ndev = ["ruff"]\n',
            "uv.lock": "",
            "requirements.txt": "no",
        },
        ["pypi numpy", "pypi a"],
    ),
    "a Python project": (
        {"setup.py": "from setuptools import setup\nsetup(install_requires=['numpy>1', NAME])"},
        ["pypi numpy"],
    ),
    "R": (
        {"runtime.txt": "r-4.4-2026-01-01", "install.R": "install.packages('ggplot2')", "requirements.txt": "jupytext"},
        ["r ggplot2", "pypi jupytext"],
    ),
    "install.R without R": ({"install.R": "install.packages('ggplot2')", "requirements.txt": "a1"}, ["pypi a1"]),
    "a project of R": (
        {"DESCRIPTION": "Package: us\nDepends: R (>= 4), methods\nImports: dplyr (>= 1),\n    tidyr\nSuggests: no\n"},
        ["r dplyr", "r tidyr"],
    ),
    "binder": ({"binder/requirements.txt": "a1", "requirements.txt": "b1", "setup.py": "-"}, ["pypi a1"]),
    "a Dockerfile and what it names": (
        {"Dockerfile": "COPY environment.yml /tmp/", "environment.yml": "dependencies: [a]", "requirements.txt": "b1"},
        ["conda a"],
    ),
    "files that are not what they are called": (
        {
            "environment.yml": "[a, ",
            "runtime.txt": "r-4",
            "requirements.txt": "\0%%\na1",
            "install.R": "install.packages(",
        },
        ["pypi a1"],
    ),
    "YAML that is something else": ({"environment.yml": "- a"}, []),
    "JSON that is something else": ({"Pipfile.lock": '{"default": [1]}'}, []),
}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_what_repo2docker_would_install_is_asked_for(name: str, tmp_path: Path) -> None:
    files, expected = REPOSITORIES[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert [f"{one.kind} {one.name}" for one in asked_for(tmp_path)] == expected


def test_a_package_for_another_system_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a1; sys_platform == 'win32'\nb1; python_version >= '3.9'\nc1\n")
    linux = {"sys_platform": "linux", "python_version": "3.11"}
    assert [one.name for one in asked_for(tmp_path) if one.holds(linux)] == ["b1", "c1"]


def test_each_package_says_which_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "binder").mkdir()
    (tmp_path / "binder" / "requirements.txt").write_text("Numpy\nnumpy\n")
    assert [(one.name, one.file) for one in asked_for(tmp_path)] == [("Numpy", "binder/requirements.txt")]


INSTALL_R = {
    'install.packages("a1")': ["a1"],
    "install.packages(c('a1', \"b1\"), repos = 'https://cran.example', dependencies = c('Depends'))": ["a1", "b1"],
    '# install.packages("no")\nx <- "# no"; install.packages("a1") # "b1"': ["a1"],
    'devtools::install_version("a1", version = "3")': ["a1"],
    'remotes::install_github(c("owner/a1@HEAD", "owner/b1#12"))': ["a1", "b1"],
    'pak::pak(c("a1", "bioc::b1", "owner/c1"))': ["a1", "b1", "c1"],
    'BiocManager::install("a1", ask = FALSE)': ["a1"],
    'wanted <- c(\n  "a1", # why\n  "b1"\n)\ninstall.packages(wanted)': ["a1", "b1"],
    'all <- c("a1", "b1")\nnew <- all[!(all %in% installed.packages()[, "Package"])]\ninstall.packages(new)': [
        "a1",
        "b1",
    ],
    'for (one in c("a1", "b1")) { install.packages(one) }': ["a1", "b1"],
    'sapply(c("a1", "b1"), install.packages)': ["a1", "b1"],
    'lapply(c("a1"), function(x) devtools::install_cran(x))': ["a1"],
    'lapply(c("no"), library)\nlibrary("no")': [],
    'install.packages("https://cran.example/a1_1.0.tar.gz")\ninstall.packages("./a1")': [],
    'install.packages("stats")': [],
    "install.packages(": [],
    "install.packages(x)\nx <- x": [],
}


@pytest.mark.parametrize("code", INSTALL_R)
def test_install_r_names_packages_in_many_ways(code: str) -> None:
    assert install_r(code) == INSTALL_R[code]


@given(st.text(alphabet="install.packages()c\"',#\n<-ab[] /@", max_size=200))
def test_no_install_r_is_too_odd(code: str) -> None:
    assert all(isinstance(name, str) for name in install_r(code))


FILES = ["environment.yml", "requirements.txt", "Pipfile", "Pipfile.lock", "pyproject.toml", "setup.py", "DESCRIPTION"]


@given(st.dictionaries(st.sampled_from([*FILES, "uv.lock", "Dockerfile", "install.R"]), st.binary(max_size=300)))
def test_no_file_is_too_odd(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        assert {one.kind for one in asked_for(Path(folder))} <= {"pypi", "conda", "r"}
