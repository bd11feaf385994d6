"""mmdebstrap: packages to the tar of a root, then what the image's repository and site add, done inside."""

from __future__ import annotations

import io
import os
import shlex
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hubtool.builders.context import Context, Entry
from hubtool.builders.debian.archives import Source
from hubtool.config import Debian
from hubtool.errors import HubtoolError
from hubtool.machine import architecture_of
from hubtool.process import ProcessError, run, stream, which

INSIDE = ".hubtool"  # the folder inside in which the last step finds what it needs, and which it removes
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL = "install it: apt-get install mmdebstrap (Debian, Ubuntu); elsewhere build on such a machine, as in CI"
# By what is said; what to do about it.
HINTS = {
    "NO_PUBKEY": "install the archive's keys (debian-archive-keyring, ubuntu-keyring), or name them by debian.keyring",
    "Unable to locate package": "look at packages, components and suite in hubtool.yaml",
    "unable to pick chroot mode": "build as root, or give this user ids in /etc/subuid and /etc/subgid",
    "newuidmap": "build as root, or install uidmap and give this user ids in /etc/subuid and /etc/subgid",
    "unshare": "mmdebstrap needs namespaces: build as root, in a container with CAP_SYS_ADMIN",
    "is expired": "the archive is out of date, or this machine's clock: name another mirror, or a debian.snapshot",
    "Failed to fetch": "have the network, or name a mirror that this machine reaches: site.apt_mirror, debian.mirror",
}


@dataclass(frozen=True)
class Bootstrap:
    """What to make: ``sources`` to install from, and ``kept`` for the image's own sources.list; ``inside`` is copied
    over the root; ``environment`` is what its last step sees."""

    debian: Debian
    architecture: str
    sources: Sequence[Source]
    kept: Sequence[Source]
    epoch: int
    inside: Context = field(default_factory=Context)
    environment: Mapping[str, str] = field(default_factory=dict)
    keyring: Path | None = None
    ca_bundle: Path | None = None


def check() -> str:
    """Version of mmdebstrap; raises HubtoolError with a hint where it is not there."""
    if which("mmdebstrap") is None or which("apt-get") is None:
        raise HubtoolError("mmdebstrap is not installed", hint=INSTALL)
    return run("mmdebstrap", "--version").stdout.strip()


def make_root(wanted: Bootstrap, folder: Path) -> Iterator[str]:
    """Write root.tar in FOLDER, yielding output lines as they come. Equal packages and files give equal bytes, whenever
    and wherever it is made. Raises HubtoolError, with the last lines, where it can't be."""
    check()
    _check_architecture(wanted.architecture)
    folder.chmod(0o755)  # a build without root reads it as another user
    work = folder / "work"
    work.mkdir()
    work.chmod(0o1777)
    _write(folder, wanted)
    environment = {"SOURCE_DATE_EPOCH": str(wanted.epoch), "TMPDIR": str(work), "LC_ALL": "C.UTF-8"}
    try:
        yield from stream(*_words(wanted, folder), env=environment, grace=30)
    except ProcessError as error:
        lines = error.message.splitlines()[1:]
        last = "\n".join(line for line in lines if not line.startswith("I: ")) or error.message
        hint = next((hint for text, hint in HINTS.items() if text in error.output), None)
        raise HubtoolError(f"mmdebstrap could not make the image:\n{last}", hint=hint) from error


def _check_architecture(architecture: str) -> None:
    here = architecture_of()
    emulator = {"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[architecture]
    if sys.platform == "linux" and here != architecture and not Path("/proc/sys/fs/binfmt_misc", emulator).exists():
        raise HubtoolError(
            f"this {here} machine runs no {architecture} programs, of which the image is made",
            hint="install an emulator: apt-get install qemu-user-static binfmt-support arch-test",
        )


def _words(wanted: Bootstrap, folder: Path) -> list[str | Path]:
    debian = wanted.debian
    words: list[str | Path] = ["mmdebstrap", "--format=tar", "--skip=output/dev", f"--variant={debian.variant}"]
    # Also for root: what it mounts is then seen by no other program, and gone with it.
    words += ["--mode=unshare"] if os.geteuid() == 0 else []
    words += [f"--architectures={wanted.architecture}", "--aptopt=Acquire::Retries 3"]
    # A name that no package has is an error, and not an expression of which apt would install whatever fits.
    words += ["--dpkgopt=force-unsafe-io", '--aptopt=APT::Cmd::Pattern-Only "true"']
    words += [f"--include={name}" for name in debian.packages]
    words += [f'--aptopt=Acquire::https::CAInfo "{folder / "ca.pem"}"'] if wanted.ca_bundle else []
    words += [f"--customize-hook={folder / 'hook.sh'}", debian.suite, folder / "root.tar"]
    options = {"check-valid-until": "no"} if debian.snapshot else {}
    options |= {"signed-by": str(folder / "keyring.gpg")} if wanted.keyring else {}
    return [*words, *(source.line(options) for source in wanted.sources)]


def _write(folder: Path, wanted: Bootstrap) -> None:
    """Write the files that mmdebstrap and its hook read."""
    for name, source in (("keyring.gpg", wanted.keyring), ("ca.pem", wanted.ca_bundle)):
        if source is not None:
            (folder / name).write_bytes(source.read_bytes())
            (folder / name).chmod(0o644)
    hook = folder / "hook.sh"
    hook.write_text(_HOOK)
    hook.chmod(0o755)
    with tarfile.open(folder / "inside.tar", "w") as tar:
        for entry in [*wanted.inside.entries, *_last_step(wanted)]:
            _add(tar, entry, wanted.epoch)
    (folder / "inside.tar").chmod(0o644)


def _last_step(wanted: Bootstrap) -> Iterator[Entry]:
    told = {"SOURCE_DATE_EPOCH": str(wanted.epoch), **wanted.environment}
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in told.items())
    yield Entry(f"{INSIDE}/environment", exports.encode(errors="surrogateescape"), 0o644)
    lines = "".join(f"{source.line()}\n" for source in wanted.kept)
    yield Entry(f"{INSIDE}/sources.list", lines.encode(), 0o644)
    yield Entry(f"{INSIDE}/last.sh", _LAST.encode(), 0o755)


def _add(tar: tarfile.TarFile, entry: Entry, epoch: int) -> None:
    """Add a file or link, root's own. Folders are left to whoever unpacks it: those that are there stay as they are."""
    info = tarfile.TarInfo(entry.name)
    info.mtime = epoch
    if isinstance(entry.source, bytes):
        info.mode, info.size = entry.mode or 0o644, len(entry.source)
        tar.addfile(info, io.BytesIO(entry.source))
    elif entry.source.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.source)
        tar.addfile(info)
    elif entry.source.is_file():
        info.mode = entry.mode or (0o755 if entry.source.stat().st_mode & 0o100 else 0o644)
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as stream:
            tar.addfile(info, stream)


# All that follows symbolic links of the new root is done inside it.
_HOOK = f"""#!/bin/sh
set -eu
here=$(dirname "$0")
chroot "$1" tar --extract --file=- --directory=/ < "$here/inside.tar"
exec env --ignore-environment PATH={PATH} HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \\
  chroot "$1" /bin/sh /{INSIDE}/last.sh
"""

RUN = f"""\
if [ -f {INSIDE}/run ]; then
  ./{INSIDE}/run || {{ echo "the script of debian.run ended with code $?" >&2; exit 1; }}
fi"""

_LAST = f"""set -eu
cd /
umask 022
. /{INSIDE}/environment
site=/usr/local/share/hubtool-site
rm -f etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap
if [ -f "$site/enter.sh" ]; then sh "$site/enter.sh"; fi
{RUN}
if [ -f "$site/leave.sh" ]; then sh "$site/leave.sh"; fi
cp {INSIDE}/sources.list etc/apt/sources.list
# What tells of this machine or this moment, or is to be every container's own
rm -f etc/resolv.conf etc/hostname etc/ssh/ssh_host_*_key* var/lib/systemd/random-seed var/log/bootstrap.log
rm -rf var/lib/apt/lists/* var/cache/apt/* var/cache/debconf/*-old var/cache/ldconfig/* var/log/apt
find var/log -type f -exec truncate --size=0 {{}} +
rm -rf {INSIDE}
"""
