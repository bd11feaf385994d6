"""Package archives: which an image is made from, and the state that they are in."""

from __future__ import annotations

import datetime
import email.utils
import hashlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from hubtool.config import Debian, Site
from hubtool.config.debian import SNAPSHOT_FORMAT
from hubtool.errors import HubtoolError, Where

DEBIAN, UBUNTU = "http://deb.debian.org/debian", "http://archive.ubuntu.com/ubuntu"
PORTS = "http://ports.ubuntu.com/ubuntu-ports"  # where Ubuntu is for other than amd64
SNAPSHOTS = {"debian": "http://snapshot.debian.org/archive/debian", "ubuntu": "http://snapshot.ubuntu.com/ubuntu"}
ROLLING = ("sid", "unstable", "experimental", "rc-buggy")
MOST = 16_000_000  # bytes of an InRelease, of which there are usually 200 kB
SECONDS = 30.0

_CHECKSUM = re.compile(r"^ ([0-9a-f]{64}) +\d+ (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A suite of an archive."""

    url: str
    suite: str
    components: tuple[str, ...]

    def line(self, options: Mapping[str, str] = {}) -> str:
        """As apt's sources.list has it."""
        told = " ".join(f"{key}={value}" for key, value in options.items())
        return " ".join(["deb", *([f"[{told}]"] if told else []), self.url, self.suite, *self.components])

    @property
    def release(self) -> str:
        return f"{self.url}/dists/{self.suite}/InRelease"


@dataclass(frozen=True)
class State:
    """What archives held: a hash of their packages, "" where a snapshot says it; when they came to it."""

    content: str
    date: datetime.datetime

    @property
    def epoch(self) -> int:
        return int(self.date.timestamp())


def build_sources(debian: Debian, site: Site, architecture: str) -> list[Source]:
    """Where packages come from while an image is built: a snapshot, the site's mirror."""
    if debian.snapshot:
        archive = debian.mirror or SNAPSHOTS[debian.distribution]
        return list(_sources(debian, archive, f"/{debian.snapshot}"))
    return list(_sources(debian, debian.mirror or site.apt_mirror or public_archive(debian, architecture)))


def image_sources(debian: Debian, site: Site, architecture: str) -> list[Source]:
    """Where those who work in the image get packages."""
    mirror = site.apt_mirror if site.run_time else None
    return list(_sources(debian, debian.mirror or mirror or public_archive(debian, architecture)))


def public_archive(debian: Debian, architecture: str) -> str:
    """The distribution's own archive."""
    if debian.distribution == "debian":
        return DEBIAN
    return UBUNTU if architecture == "amd64" else PORTS


def _sources(debian: Debian, archive: str, below: str = "") -> Iterator[Source]:
    archive = archive.rstrip("/")
    security = f"{archive}-security" if debian.distribution == "debian" else archive
    yield Source(archive + below, debian.suite, debian.components)
    if debian.updates and debian.suite not in ROLLING:
        yield Source(archive + below, f"{debian.suite}-updates", debian.components)
        yield Source(security + below, f"{debian.suite}-security", debian.components)


def read_state(debian: Debian, sources: Sequence[Source], architecture: str, ca_bundle: Path | None) -> State:
    """The state of SOURCES: the snapshot's, which nothing is asked for, else what their Release files say of packages
    for ARCHITECTURE. Raises HubtoolError where they can't be read. (That they are genuine is apt's to find.)"""
    if debian.snapshot:
        then = datetime.datetime.strptime(debian.snapshot, SNAPSHOT_FORMAT).replace(tzinfo=datetime.UTC)
        if then > datetime.datetime.now(datetime.UTC):  # for which one gets the newest, another one each day
            raise HubtoolError(f"the snapshot {debian.snapshot} is still to come", hint="mend debian.snapshot")
        return State("", then)
    dates, found = [], hashlib.sha256()
    with httpx.Client(verify=_trust(ca_bundle), timeout=SECONDS, follow_redirects=True) as client:
        for source in sources:
            text = _fetch(client, source)
            dates.append(_date(text, source))
            for digest, name in _packages(text, source, architecture):
                found.update(f"{source.suite} {name} {digest}\n".encode())
    return State(found.hexdigest(), max(dates))


def _trust(ca_bundle: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_bundle) if ca_bundle else None)
    except (ssl.SSLError, OSError) as error:
        raise HubtoolError("no certificates in it that can be used", where=Where(str(ca_bundle))) from error


def _fetch(client: httpx.Client, source: Source) -> str:
    data = b""
    try:
        with client.stream("GET", source.release) as response:
            if response.status_code == 404:
                hint = "look at suite, mirror and updates in hubtool.yaml"
                raise HubtoolError(f"{source.url} has no suite {source.suite}", hint=hint)
            response.raise_for_status()
            for piece in response.iter_bytes():
                data += piece
                if len(data) > MOST:
                    raise HubtoolError(f"{source.release} has more than {MOST} bytes, and is no Release file")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        hint = "name a mirror that this machine reaches: site.apt_mirror, or debian.mirror"
        raise HubtoolError(f"{source.release} can't be read: {error}", hint=hint) from error
    return data.decode(errors="replace")


def _date(text: str, source: Source) -> datetime.datetime:
    found = re.search(r"^Date: (.+)$", text, re.MULTILINE)
    try:
        date = email.utils.parsedate_to_datetime(found[1] if found else "")
    except ValueError as error:
        raise HubtoolError(f"{source.release} is no Release file: it has no date") from error
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)


def _packages(text: str, source: Source, architecture: str) -> list[tuple[str, str]]:
    """Digests and names of the indices that list SOURCE's packages."""
    names = {f"{part}/binary-{kind}/Packages" for part in source.components for kind in (architecture, "all")}
    found = sorted({(digest, name) for digest, name in _CHECKSUM.findall(text) if name in names})
    missing = [part for part in source.components if not any(name.startswith(f"{part}/") for _, name in found)]
    if missing:
        raise HubtoolError(
            f"{source.url} {source.suite} has no packages for {architecture} in {', '.join(missing)}",
            hint="look at components, suite and platform in hubtool.yaml",
        )
    return found
