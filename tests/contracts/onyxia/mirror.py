"""A site's mirror of the packages that the template's Dockerfiles fetch: stand-ins for what can't be had from Debian,
PyPI or npm, or whatever else is put there."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker as docker_sdk

CODE_SERVER, RSTUDIO = "4.139.1", "2026.05.1-225"


def write_package(target: Path, name: str, program: Path, at: str) -> str:
    """Write a package NAME to TARGET that brings PROGRAM, a Python script, at a path; returns its checksum."""
    root = target.parent / f"{name}.root"
    file = root / at.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(program.read_bytes())
    file.chmod(0o755)
    words = {"Package": name, "Version": "1", "Architecture": "all", "Maintainer": "nobody", "Description": "stand-in"}
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in words.items()))
    same = {**os.environ, "SOURCE_DATE_EPOCH": "0"}  # the same bytes whenever it is made
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", root, target], check=True, capture_output=True, env=same
    )
    return hashlib.sha256(target.read_bytes()).hexdigest()


def architecture() -> str:
    """What Debian calls this machine's."""
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def stand_ins(folder: Path, program: Path) -> dict[str, str]:
    """Write packages of code-server and RStudio that bring the stand-in PROGRAM below FOLDER, where a mirror has them;
    the build arguments that go with them, but where the mirror is."""
    arch = architecture()
    code_server = folder / f"v{CODE_SERVER}" / f"code-server_{CODE_SERVER}_{arch}.deb"
    rstudio = folder / arch / f"rstudio-server-{RSTUDIO}-{arch}.deb"
    for file in (code_server, rstudio):
        file.parent.mkdir(parents=True)
    return {
        "CODE_SERVER_SHA256": write_package(code_server, "code-server", program, "/usr/bin/code-server"),
        "RSTUDIO_SHA256": write_package(rstudio, "rstudio-server", program, "/usr/lib/rstudio-server/bin/rserver"),
    }


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve FOLDER to this machine's containers; the build arguments that say where."""
    client = docker_sdk.from_env()
    gateway = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    client.close()
    with ThreadingHTTPServer(("0.0.0.0", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://{gateway}:{server.server_port}"
        yield {"CODE_SERVER_URL": address, "RSTUDIO_URL": address}
        server.shutdown()
