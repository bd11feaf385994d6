"""What a JupyterHub needs of a single-user image, as far as its config and files tell; nothing is started."""

from __future__ import annotations

import re
from collections.abc import Callable

from hubtool.contracts import Settings
from hubtool.contracts.ballast import ballast, layer_sizes, size
from hubtool.contracts.credentials import Finding, credentials_in_config, credentials_in_files
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.bytecode import compiled

SHOWN = 10


def test_J1_does_not_run_as_root(image: ImageUnderTest, settings: Settings) -> None:
    """It does not run as root.

    A server that runs as root, or as a uid that the hub doesn't expect, can't use the home volume as the hub
    mounts it, and hubs that forbid root (runAsNonRoot) refuse to start it.

    To mend: end the Dockerfile with USER and the run user's name or uid; or set 'uid' in hubtool.yaml.
    """
    user = image.config.get("User") or ""
    assert image.uid is not None, f"USER is '{user}', which the image's /etc/passwd does not hold"
    assert image.uid != 0, f"it runs as root: USER is '{user}'" if user else "it runs as root: no USER is set"
    assert image.uid == settings.uid, f"it runs as uid {image.uid} (USER '{user}'), expected {settings.uid}"


# What people put into the home directory of an image, and then miss when a volume lies over it.
LOST = re.compile(
    r"(?:\.local/bin/[^/]+|\.local/lib/python[^/]+/site-packages/[^/]+/.+|\.local/share/jupyter/kernels/[^/]+/kernel\.json"
    r"|(?:.+/)?conda-meta/history|(?:.+/)?pyvenv\.cfg)$"
)


def test_J4_nothing_it_needs_is_in_the_home_directory(image: ImageUnderTest) -> None:
    """The home volume may be empty: no programs, packages, kernels or environments lie in the home directory.

    The hub mounts the user's volume over the home directory, so what the image has there is gone: programs are
    not found, kernels are missing, the start script is "No such file or directory".

    To mend: put it under /srv or /opt; pip without --user; repo_dir (repo2docker's REPO_DIR) outside the home.
    """
    home = image.home.strip("/") + "/"
    lost = sorted(path for path in image.files.visible if path.startswith(home) and LOST.match(path[len(home) :]))
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    assert not lost, f"in the home directory: {', '.join('/' + path for path in lost[:SHOWN])}{more}"


def test_J5_no_credentials_inside(image: ImageUnderTest) -> None:
    """No credentials are in any layer of the image.

    Whoever can pull the image has every file of every layer, also one that a later layer deletes. A leaked
    registry or cloud key lets them replace the images of every hub.

    To mend: keep the file out of the build (.dockerignore), build again, and revoke the credential: it is out.
    """
    found = credentials_in_files(image.files)
    found += credentials_in_config(list(image.config.get("Env") or ()), image.history)
    more = f"\nand {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    count = len(image.files.layers)
    assert not found, "\n".join(_shown(finding, count) for finding in found[:SHOWN]) + more


def _shown(finding: Finding, layers: int) -> str:
    if finding.layer is None:
        return f"{finding.what}: {finding.place}"
    deleted = ", deleted later but still in it" if finding.deleted else ""
    return f"{finding.what}: {finding.place} (layer {finding.layer + 1} of {layers}{deleted})"


def test_J6_no_ballast(image: ImageUnderTest) -> None:
    """No ballast: no lists of apt, no caches of pip, uv, conda, npm, yarn or R.

    Every node fetches and unpacks it before the first user's server starts there, and nobody ever reads it.

    To mend: remove it in the same RUN that makes it (rm -rf /var/lib/apt/lists/*; pip --no-cache-dir; UV_NO_CACHE=1;
    conda clean -afy; npm cache clean --force).
    """
    found = sorted(ballast(image.files, image.environment).items(), key=lambda item: -item[1])
    assert not found, "; ".join(f"{what} in {place}: {count:,} bytes" for (what, place), count in found)


def test_J6_keeps_to_its_budget(image: ImageUnderTest, settings: Settings, note: Callable[[str], None]) -> None:
    """No ballast: the image, and its largest layer, are no larger than their budgets.

    A node fetches a layer in one piece and unpacks it before a server starts; users wait for that, or give up.

    To mend: leave out what nobody uses (hubtool inspect shows what takes the space), or raise parameters.max_size
    or parameters.max_layer_size in hubtool.yaml.
    """
    whole, layers = size(image.files), layer_sizes(image.files)
    largest, limits = max(layers, default=0), settings.parameters
    assert whole <= limits.max_size, f"its files have {whole:,} bytes, more than max_size: {limits.max_size:,}"
    place = f"layer {layers.index(largest) + 1} of {len(layers)}" if layers else "no layer"
    over = f"{place} has {largest:,} bytes, more than max_layer_size: {limits.max_layer_size:,}"
    assert largest <= limits.max_layer_size, over
    note(f"{whole:,} bytes; the largest of {len(layers)} layers has {largest:,}")


def test_J7_first_import_is_quick(image: ImageUnderTest) -> None:
    """The first import is quick: the Python files of installed packages have their valid .pyc.

    Without it Python compiles a package at each start of a server: run users can't write the result beside it, and
    a hub starts many servers at once on a new node.

    To mend: uv pip install --compile-bytecode; python -m compileall FOLDER; pip without --no-compile. A .pyc is
    valid only with the time of its source: copy both together, times kept.
    """
    found = compiled(image.files)
    lacking = sorted((path for path in found if found[path].lacks), key=lambda path: -found[path].missing)
    more = f" and {len(lacking) - SHOWN} more packages" if len(lacking) > SHOWN else ""
    shown = ", ".join(f"{path} ({found[path].missing} of {found[path].files})" for path in lacking[:SHOWN])
    assert not lacking, f"not compiled: {shown}{more}"


LABELS = {
    "source": r"\S+",
    "revision": r"\S+",
    "created": r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)",
    "base.name": r"\S+",
    "base.digest": r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})",
}


def test_J8_says_where_it_came_from(image: ImageUnderTest) -> None:
    """It says where it came from: OCI's labels name source, revision, time, and the base image with its digest.

    Who has to find what is in a running server, or which images stand on a base with a hole, has only the labels.

    To mend: hubtool build sets them; elsewhere add LABEL org.opencontainers.image.source=... and so on. The source
    is that of git's remote "origin".
    """
    labels = image.config.get("Labels") or {}
    wrong = []
    for name, form in LABELS.items():
        value = labels.get(f"org.opencontainers.image.{name}")
        if not value:
            wrong.append(f"no org.opencontainers.image.{name}")
        elif not re.fullmatch(form, value):
            wrong.append(f"org.opencontainers.image.{name} is '{value}'")
    assert not wrong, "; ".join(wrong)
