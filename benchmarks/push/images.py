"""The images: a scientific Python stack of 2.1 GB as hubtool builds it, and what may become of it.

They are built by `hubtool build` (uv, from PyPI) upon a base image of Debian packages that a registry on loopback has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import git
import uv

PINS = Path(__file__).parent / "requirements.txt"  # of all packages that any image here has
STACK = """jupyterlab jupyterhub notebook ipywidgets ipympl nbgitpuller jupyter-resource-usage numpy scipy pandas
matplotlib seaborn scikit-learn scikit-image statsmodels sympy networkx polars pyarrow xarray netcdf4 h5py zarr
geopandas bokeh plotly altair sqlalchemy requests tqdm pytest openpyxl tabulate duckdb""".split()  # noqa: SIM905
# Of the sibling's bytes about a fifth is not the stack's.
_GONE = {"statsmodels", "altair", "geopandas", "plotly", "duckdb"}
SIBLING = [name for name in STACK if name not in _GONE] + ["numba", "opencv-python-headless", "dask"]
OLDER = {"pandas": "3.1.0", "networkx": "3.6", "tabulate": "0.9.0"}  # a big, a middle and a small package
SMALL = ["jupyter-server", "requests", "networkx", "tabulate"]  # of --quick
SMALL_SIBLING = ["jupyter-server", "requests", "networkx", "tqdm"]

WHO = ("-c", "user.name=Some Team", "-c", "user.email=team@example.org")


@dataclass(frozen=True)
class Built:
    """An image that the engine holds."""

    reference: str
    seconds: float
    size: int


class Repository:
    """An image repository whose image NAME goes to the registry HOST."""

    def __init__(self, root: Path, host: str, name: str, base: str, environment: Mapping[str, str]) -> None:
        self.root, self.host, self.name, self.environment = root, host, name, environment
        root.mkdir(parents=True)
        git.Repo.init(root, initial_branch="main")
        (root / ".gitignore").write_text(".hubtool/\n")
        (root / ".python-version").write_text("3.11\n")  # the base's own
        (root / "hubtool.yaml").write_text(
            f"registry: {host}/hub\nimages:\n  {name}:\n    environment: uv\n    base: {base}\n    contract: none\n"
        )

    def commit(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).write_text(text)
        repository = git.Repo(self.root)
        repository.git.add("--all")
        repository.git.execute(["git", *WHO, "commit", "--quiet", "--allow-empty", "--message=x"])

    @property
    def reference(self) -> str:
        """What the image of this commit is called."""
        return f"{self.host}/hub/{self.name}:{git.Repo(self.root).head.commit.hexsha[:12]}"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hubtool", *words, "--root", str(self.root)]

    def build(self, *options: str) -> Built:
        done = run(self.command("build", "--json", *options), self.environment)
        (found,) = json.loads(done)
        return Built(found["reference"], found["seconds"], found["size"])


def requirements(names: list[str], older: Mapping[str, str] | None = None) -> str:
    """The pinned requirements of an image with the packages NAMES, some of OLDER versions."""
    text = run(
        [uv.find_uv_bin(), "pip", "compile", "--quiet", "--python-version", "3.11", "--no-header", "--no-annotate",
         "--constraints", str(PINS), "-"], given="\n".join(names)
    )  # fmt: skip
    pinned = dict(line.split("==") for line in text.splitlines())
    return "".join(f"{name}=={version}\n" for name, version in {**pinned, **(older or {})}.items())


def run(argv: list[str], environment: Mapping[str, str] | None = None, given: str | None = None) -> str:
    """What ARGV prints; its messages are shown where it fails."""
    done = subprocess.run(
        argv, input=given, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


# Copies packages of the image STACK until there are BYTES of them.
GROWN = """FROM {base}
RUN --mount=type=bind,from={stack},source=/srv/venv/lib/python3.11/site-packages,target=/from \\
    total=0; copy=1; while [ $total -lt {bytes} ]; do \\
      to=/srv/copy$copy/lib/python3.11/site-packages; mkdir -p $to; copy=$((copy + 1)); \\
      for each in /from/*; do \\
        cp -a $each $to; total=$((total + $(du -sb $each | cut -f1))); [ $total -lt {bytes} ] || break; \\
      done; \\
    done
"""


def grown(docker: str, tag: str, base: str, stack: str, size: int) -> None:
    """Have docker build an image of SIZE bytes, of packages of the image STACK upon BASE."""
    text = GROWN.format(base=base, stack=stack, bytes=size)
    run([docker, "build", "--quiet", "--tag", tag, "-"], {"DOCKER_BUILDKIT": "1"}, given=text)
