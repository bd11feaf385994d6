"""A site behind authorities of its own: mirrors of PyPI and CRAN with one tiny package each, a git repository. It is
served to this machine's containers in the clear, and over TLS by two authorities."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker as docker_sdk
import trustme

PYPI, CRAN, GIT = "pypi/simple", "cran", "git/project.git"


@dataclass(frozen=True)
class Site:
    """``plain`` is its address in the clear, ``private`` by the authority whose certificate is ``authority``, ``known``
    by the one that images may trust already, ``known_authority``. ``folder`` is what all three serve."""

    folder: Path
    plain: str
    private: str
    known: str
    authority: Path
    known_authority: Path

    def publish(self, name: str, text: str) -> str:
        """The address in the clear of a file NAME with this TEXT."""
        (self.folder / name).write_text(text)
        return f"{self.plain}/{name}"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_site(folder: Path, cache: Path) -> Iterator[Site]:
    """Serve FOLDER. The authorities are kept in CACHE, since what a build trusts decides what it has to do again."""
    write_pypi(folder / PYPI / "tiny")
    write_cran(folder / CRAN / "src/contrib")
    write_git(folder / GIT)
    machine = gateway()
    known, private = (_authority(cache / name) for name in ("known", "private"))
    with ExitStack() as stack:
        plain, hidden, trusted = [
            stack.enter_context(_serving(folder, machine, authority)) for authority in (None, private, known)
        ]
        yield Site(folder, plain, hidden, trusted, cache / "private/ca.crt", cache / "known/ca.crt")


def gateway() -> str:
    """How the engine's containers, and its builds, call this machine."""
    client = docker_sdk.from_env()
    try:
        return str(client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
    finally:
        client.close()


def _authority(folder: Path) -> trustme.CA:
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if not certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = trustme.CA(organization_name=folder.name)
        made.private_key_pem.write_to_path(str(key))
        made.cert_pem.write_to_path(str(certificate))
    return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())


@contextmanager
def _serving(folder: Path, machine: str, authority: trustme.CA | None) -> Iterator[str]:
    server = ThreadingHTTPServer(("0.0.0.0", 0), partial(_Quiet, directory=str(folder)))
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(machine).configure_cert(context)
        # The handshake belongs to the request's own thread: who only connects must not hold the others up.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if authority else ''}://{machine}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def write_pypi(folder: Path) -> None:
    """A simple index's page of the package `tiny`, and its wheel."""
    folder.mkdir(parents=True)
    name = "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "ANSWER = 42\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for path, text in {**files, "tiny-1.0.dist-info/RECORD": f"{record}tiny-1.0.dist-info/RECORD,,\n"}.items():
            wheel.writestr(path, text)
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{name}">{name}</a>\n')


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def write_cran(folder: Path) -> None:
    """The source packages of a CRAN: `tiny` alone."""
    folder.mkdir(parents=True)
    description = "Package: tiny\nVersion: 1.0\nLicense: MIT\nTitle: Tiny\nDescription: Tiny.\nNeedsCompilation: no\n"
    files = {"DESCRIPTION": f"{description}Author: A\nMaintainer: A <a@example.org>\n", "NAMESPACE": "export(answer)\n"}
    with tarfile.open(folder / "tiny_1.0.tar.gz", "w:gz") as archive:
        for name, text in {**files, "R/tiny.R": "answer <- function() 42\n"}.items():
            info = tarfile.TarInfo(f"tiny/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    (folder / "PACKAGES").write_text(description)
    (folder / "PACKAGES.gz").write_bytes(gzip.compress(description.encode()))


def write_git(folder: Path) -> None:
    """A bare repository that git fetches as files."""
    _git("init", "--quiet", "--bare", "--initial-branch=main", folder)
    tree = _git("-C", folder, "mktree", given="")
    commit = _git("-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit-tree", tree, "-m", "one")
    _git("-C", folder, "update-ref", "refs/heads/main", commit)
    _git("-C", folder, "update-server-info")


def _git(*words: str | Path, given: str | None = None) -> str:
    done = subprocess.run(["git", *map(str, words)], input=given, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def bundle(target: Path, files: Sequence[Path]) -> Path:
    """Write TARGET, a file with the certificates of all FILES."""
    target.write_bytes(b"\n".join(file.read_bytes() for file in files))
    return target
