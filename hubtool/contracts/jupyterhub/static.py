"""What a JupyterHub needs of a single-user image, as far as its config and files tell; nothing is started."""

from __future__ import annotations

import re

from hubtool.contracts import Settings
from hubtool.contracts.credentials import Finding, credentials_in_config, credentials_in_files
from hubtool.contracts.image import ImageUnderTest

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
