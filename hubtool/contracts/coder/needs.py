"""What the files of an image have of what Coder's bootstrap, and the programs that people inject, ask for."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable

from hubtool.contracts.coder.machine import MACHINES
from hubtool.contracts.image import ImageUnderTest
from hubtool.image.files import Entry

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # engines' own, where an image sets none
DOWNLOADERS = ("curl", "wget", "busybox")
BOOTSTRAP = ("sh", "mktemp", "chmod", "sleep", "head", "grep")
SCRIPT_PROGRAMS = ("/bin/sh", "/bin/bash", "/usr/bin/env")
# Where programs look for certificates: Debian and Nix, Nix, Red Hat, Alpine and BSD.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "NIX_SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE")
LARGEST_BUNDLE = 8_000_000
CERTIFICATE = re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END")


def _search(image: ImageUnderTest) -> str:
    return image.environment.get("PATH", PATH)


def find_program(image: ImageUnderTest, name: str) -> Entry | None:
    """The executable that NAME, a whole path or one on the image's PATH, means."""
    return image.files.which(name, _search(image))


def cannot_run(image: ImageUnderTest, entry: Entry) -> str:
    """Why the program can't be started, "" where nothing speaks against it."""
    interpreter = interpreter_of(image.files.read(entry, 4096))
    if interpreter is None or image.files.find(interpreter) is not None:
        return ""
    return f"/{entry.path} can't run: {interpreter} is not in the image"


def interpreter_of(start: bytes) -> str | None:
    """The program that starts the file that begins with START: a script's, or an ELF program's loader. None for
    a static program, and for what is neither."""
    script = re.match(rb"#![ \t]*(/[^\s\0]+)", start)
    if script:
        return script[1].decode("utf-8", "replace")
    if len(start) < 64 or not start.startswith(b"\x7fELF\x02\x01"):
        return None
    (first,) = struct.unpack_from("<Q", start, 32)
    size, count = struct.unpack_from("<HH", start, 54)
    for at in range(first, min(first + size * count, len(start) - 55), max(size, 1)):
        kind, _, offset = struct.unpack_from("<IIQ", start, at)
        if kind == 3:  # PT_INTERP
            return start[offset:].split(b"\0", 1)[0].decode("utf-8", "replace") or None
    return None


def has_loader(image: ImageUnderTest) -> bool:
    """Whether the image has an ELF file where glibc's loader belongs."""
    machine = MACHINES.get(image.architecture)
    entry = image.files.find(machine.interpreter) if machine else None
    return entry is not None and image.files.read(entry, 4) == b"\x7fELF"


def missing_programs(image: ImageUnderTest, names: Iterable[str]) -> str:
    """What is wrong with the programs NAMES, whole paths or names on the image's PATH; "" where nothing is."""
    found = {name: find_program(image, name) for name in names}
    missing = [name for name, entry in found.items() if entry is None]
    on_path = "" if all(name.startswith("/") for name in missing) else f" in PATH={_search(image)}"
    wrong = [f"no {', '.join(missing)}{on_path}"] if missing else []
    wrong += filter(None, [cannot_run(image, entry) for entry in found.values() if entry is not None])
    return "; ".join(wrong)


def missing_downloader(image: ImageUnderTest) -> str:
    """Why the agent can't be fetched, "" where the program can be found that the bootstrap will take: the first
    of curl, wget and busybox that is there."""
    present = [name for name in DOWNLOADERS if find_program(image, name) is not None]
    if not present:
        return f"neither curl, wget nor busybox in PATH={_search(image)}"
    return missing_programs(image, present[:1])


def lacks_for_bootstrap(image: ImageUnderTest) -> str:
    """Which check says why the bootstrap can't run, "" where its programs are all there."""
    if missing_programs(image, BOOTSTRAP):
        return "C4"
    return "C5" if missing_downloader(image) else ""


def named_bundles(image: ImageUnderTest) -> dict[str, str]:
    """The variables that the image sets to name a certificate bundle."""
    return {name: image.environment[name] for name in BUNDLE_VARIABLES if image.environment.get(name)}


def bundle_problem(image: ImageUnderTest) -> str:
    """What is wrong with the image's certificate bundles, "" where nothing is."""
    bundles = certificate_bundles(image)
    wrong = [f"{name}={place}" for name, place in named_bundles(image).items() if place not in bundles]
    if wrong:
        return f"no file with certificates: {', '.join(wrong)}"
    return "" if bundles else f"no certificates in any of {', '.join(BUNDLES)}"


def certificate_bundles(image: ImageUnderTest) -> dict[str, str]:
    """The image's certificate bundles by their places: those that its variables name, those in the usual places."""
    places = dict.fromkeys([*named_bundles(image).values(), *BUNDLES])
    texts = {place: image.files.text(place, LARGEST_BUNDLE) or "" for place in places if place.startswith("/")}
    return {place: text for place, text in texts.items() if certificates(text)}


def certificates(text: str) -> set[bytes]:
    """The certificates of a PEM text, each as its bytes; what is none is left out."""
    found = set()
    for match in CERTIFICATE.finditer(text):
        try:
            found.add(base64.b64decode("".join(match[1].split()), validate=True))
        except binascii.Error:
            continue
    return found
