"""What is asked of Nix's programs: to evaluate an expression, to build a derivation."""

from __future__ import annotations

import grp
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from hubtool.builders import BuildJob
from hubtool.builders.context import IGNORE_FILES, Context, read_ignore_files
from hubtool.builders.recipe import platform_of
from hubtool.errors import HubtoolError, Where
from hubtool.machine import architecture_of
from hubtool.process import ProcessError, run, stream, which

FILE, FLAKE = "default.nix", "flake.nix"
SYSTEMS = {"linux/amd64": "x86_64-linux", "linux/arm64": "aarch64-linux"}
FLAKES = ("--extra-experimental-features", "nix-command flakes")
INSTALL = "install it: https://nixos.org/download, or as root on Debian, Ubuntu: apt-get install nix-bin"
# By what Nix says; what to do about it.
HINTS = {
    "unable to download": "the expression fetches its sources: have a network, or NIX_SSL_CERT_FILE for its proxy",
    "requires lock file changes": "write flake.lock and commit it: nix flake lock",
    "Permission denied": "root, members of nix-users or a Nix daemon may build: https://nixos.org/download",
    "is required to build": "build on a machine of that platform, or name one in nix.conf (builders)",
}


def check() -> str:
    """Version of Nix; raises HubtoolError with a hint where it is not there."""
    for program in ("nix-instantiate", "nix-store"):
        if which(program) is None:
            raise HubtoolError(f"nix is not installed: there is no {program} on PATH", hint=INSTALL)
    return run("nix-store", "--version").stdout.strip()


def evaluate(job: BuildJob, folder: Path) -> str:
    """The path of the derivation that JOB's expression is. Nix sees the files of the context in the new FOLDER, where
    what never travels into an image is not. Raises HubtoolError, with Nix's last lines, where there is none."""
    check()
    file = _file(job)
    context = Context()
    context.add_repository(job.context, "", read_ignore_files(job.context / name for name in IGNORE_FILES[:1]))
    context.write(folder)
    if not (folder / file).is_file():
        raise HubtoolError("is kept out of images, hence out of this one's expression", where=Where(job.context / file))
    words = _flake_words(job, folder) if file == FLAKE else _file_words(job, folder / file)
    try:
        told = run(*words, cwd=folder, env=_environment(job)).stdout.split()
    except ProcessError as error:
        raise _explained("the expression cannot be evaluated", error, job.context / file) from error
    if len(told) != 1:
        raise HubtoolError(
            f"yields {len(told)} derivations, of which one is to be the image",
            where=Where(job.context / file),
            hint="name it by 'nix: {attribute: …}' in hubtool.yaml",
        )
    return told[0]


def realise(job: BuildJob, derivation: str, link: Path) -> Iterator[str]:
    """Build DERIVATION, yielding output lines as they come. LINK will lead to what it yields; as long as it is there,
    no garbage collection removes that."""
    words = ["nix-store", "--realise", derivation, *_options(job), "--add-root", str(link), "--indirect"]
    try:
        yield from (line for line in stream(*words, env=_environment(job)) if line != str(link))
    except ProcessError as error:
        raise _explained("nix could not build the image", error, None) from error


def _file(job: BuildJob) -> str:
    """The file that holds the expression, relative to the context."""
    nix = job.settings.nix
    named = FLAKE if nix.flake else nix.file
    file = named or (FLAKE if (job.context / FLAKE).exists() and not (job.context / FILE).exists() else FILE)
    where = Where(job.context / file)
    if not (job.context / file).resolve().is_relative_to(job.context.resolve()):
        raise HubtoolError("leads outside the image's context", where=where)
    if not (job.context / file).is_file():
        hint = "write it, or name what yields the image by 'nix' in hubtool.yaml"
        raise HubtoolError("there is no such file", where=where, hint=hint)
    if file == FLAKE and job.settings.args:
        raise HubtoolError("a flake's outputs take no args", where=where, hint="name another output for each variant")
    return file


def _file_words(job: BuildJob, file: Path) -> list[str]:
    words = ["nix-instantiate", str(file), *_options(job)]
    words += ["--attr", job.settings.nix.attribute] if job.settings.nix.attribute else []
    for key, value in job.settings.args.items():
        words += ["--argstr", key, value]
    return words


def _flake_words(job: BuildJob, folder: Path) -> list[str]:
    output = f"packages.{SYSTEMS[platform_of(job)]}.{job.settings.nix.flake or 'default'}.drvPath"
    # Nix versions differ in how such a URL is quoted; the working folder needs none, but may be in a git repository.
    place = f"path:{folder}" if quote(str(folder)) == str(folder) else "."
    return ["nix", *FLAKES, "eval", "--raw", "--no-update-lock-file", *_options(job), f"{place}#{output}"]


def _options(job: BuildJob) -> list[str]:
    words = []
    if os.geteuid() == 0 and not _is_group("nixbld"):  # Debian's nix-bin makes none, and Nix as root wants one
        words += ["--option", "build-users-group", ""]
    system = SYSTEMS[platform_of(job)]
    here = sys.platform == "linux" and system == SYSTEMS.get(f"linux/{architecture_of()}")
    return words if here else [*words, "--option", "system", system]


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _environment(job: BuildJob) -> dict[str, str | None]:
    bundle = str(job.ca_bundle) if job.ca_bundle else None
    return {"NO_COLOR": "1", "TERM": "dumb", **({"NIX_SSL_CERT_FILE": bundle} if bundle else {})}


def _explained(what: str, error: ProcessError, file: Path | None) -> HubtoolError:
    last = str(error.message).partition("\n")[2] or error.message
    hint = next((hint for text, hint in HINTS.items() if text in error.output), None)
    return HubtoolError(f"{what}:\n{last}", where=Where(file) if file else None, hint=hint)
