"""What of the outside this machine reaches, and which certificates it needs for that."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import certifi
import httpx

SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
PYPI = "https://pypi.org/simple/pip/"
DOCKER_HUB = "https://registry-1.docker.io/v2/"
CONDA_FORGE = "https://conda.anaconda.org/conda-forge/noarch/repodata.json.zst"
SECONDS = 6.0


def private_bundle() -> Path | None:
    """The certificate bundle that builds on this machine need beside the public ones; None where they don't.

    $SSL_CERT_FILE where it is set; else the system's bundle, where PyPI's certificate is good only by it.
    """
    named = os.environ.get("SSL_CERT_FILE")
    if named and Path(named).is_file():
        return Path(named)
    if _get(PYPI, None) is not None:
        return None
    return next((Path(file) for file in SYSTEM_BUNDLES if Path(file).is_file() and _get(PYPI, Path(file))), None)


def answers(url: str, bundle: Path | None) -> bool:
    """Whether URL is answered within a few seconds; a demand to log in is an answer."""
    code = _get(url, bundle)
    return code is not None and code < 500 and code != 404


def _get(url: str, bundle: Path | None) -> int | None:
    verify = ssl.create_default_context(cafile=str(bundle) if bundle else certifi.where())
    try:
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True, verify=verify) as response:
            return response.status_code
    except (httpx.HTTPError, OSError):
        return None
