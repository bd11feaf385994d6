"""What a build would do with each variant, and why: nothing is built, no image's layers are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import git

from hubtool.builders import ARCHIVE, BASE_DIGEST, BASE_NAME, REVISION, Ingredients, get_builder
from hubtool.builders.dockerfile import read_dockerfile
from hubtool.commands.earlier import IMAGE_ID, annotation, document_of
from hubtool.commands.promotion import BUILT, FINGERPRINT, Bases, ask_for, find_built, is_old, short_client
from hubtool.config import FILE_NAME, load, parse
from hubtool.console import counted, warn
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant
from hubtool.plan.graph import image_of
from hubtool.reference import ImageReference
from hubtool.registries.model import Manifest, RegistryError

Action = Literal["build", "reuse", "skip"]
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
AT_ONCE = 8  # variants that registries are asked for
NAMED = 3  # changed files that a reason names


@dataclass(frozen=True)
class Decision:
    """What is done with a variant, and ``why``. ``digest`` is that of the image that is reused, ``image_id`` the id
    that it was built with, ``fingerprint`` what is wanted; "" where they are not known. ``changes``: the repository
    asks for another image than the newest release, not only the world around it."""

    action: Action
    why: str
    fingerprint: str = ""
    digest: str = ""
    image_id: str = ""
    changes: bool = False


def decide(
    variants: Sequence[Variant], start: Callable[[], Engine], again: Collection[str] = ()
) -> dict[str, Decision]:
    """The decision on each of VARIANTS, parents before children, by name. START gives the engine, which is asked for
    base images that no registry has. Those that AGAIN names are built whatever is there."""
    _check_files(variants)
    made: dict[str, Decision] = {}
    waiting = list(variants)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while waiting:
            ready = [one for one in waiting if one.parent is None or one.parent in made]
            found = pool.map(partial(_decide, made=made, start=start, again=again), ready)
            made |= dict(zip([one.image for one in ready], found, strict=True))
            waiting = [one for one in waiting if one.image not in made]
    return made


def _check_files(variants: Sequence[Variant]) -> None:
    """Raise HubtoolError for what is wrong with a Dockerfile, also one that nothing else is asked of today."""
    jobs = [variant.job for variant in variants if variant.job.settings.builder == "dockerfile"]
    for job in {(job.context, job.settings.dockerfile, job.settings.base_arg): job for job in jobs}.values():
        read_dockerfile(job)


def _decide(
    variant: Variant, made: Mapping[str, Decision], start: Callable[[], Engine], again: Collection[str]
) -> Decision:
    if variant.image in again:
        return Decision("build", "--rebuild")
    parent = made[variant.parent] if variant.parent else None
    if parent and parent.action == "build":
        return Decision("build", f"built on {variant.parent}", changes=parent.changes)
    if parent:
        base = variant.reference.with_tag(variant.reference.tag, parent.digest)
        variant = variant.on_image(str(base), parent.image_id)
    with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
        ingredients = prepared.ingredients()
    bases = Bases.of(variant, start)
    fingerprint = ingredients.fingerprint(lambda base: _digest(bases, base))
    there = find_built(variant, fingerprint)
    if there is None:
        why, changes = _why(variant, ingredients, bases, fingerprint)
        return Decision("build", why, fingerprint, changes=changes)
    document = document_of(there.content)
    if is_old(annotation(document, BUILT), variant.freshness):
        return Decision("build", f"older than {_days(variant)}", fingerprint)
    return Decision("reuse", "unchanged", fingerprint, there.digest, annotation(document, IMAGE_ID))


def _digest(bases: Bases, base: str) -> str:
    try:
        return bases.digest(base)
    except HubtoolError:  # there is no engine, and no registry has it
        return ""


def _days(variant: Variant) -> str:
    return str(variant.freshness).removesuffix(", 0:00:00")


def _why(variant: Variant, ingredients: Ingredients, bases: Bases, fingerprint: str) -> tuple[str, bool]:
    """What is other than in the newest release, and whether that makes it another version of the image."""
    try:
        newest = ask_for(variant.reference.with_tag(variant.newest))
    except HubtoolError as error:
        return _no_answer(error), True
    if newest is None:
        return "not in the registry", True
    if annotation(document_of(newest.content), FINGERPRINT) == fingerprint:
        return "did not pass today's tests", False
    labels = _labels(variant.reference, newest)
    changed = changed_since(variant, labels.get(REVISION, ""))
    if changed:
        more = f" and {counted(len(changed) - NAMED, 'file')} more" if len(changed) > NAMED else ""
        return f"changed: {', '.join(changed[:NAMED])}{more}", True
    if variant.parent and labels.get(BASE_DIGEST) not in ("", None, variant.parent_id, _parents_digest(variant)):
        return f"changed parent {variant.parent}", False
    if ingredients.archive and labels.get(ARCHIVE) != ingredients.archive:
        return "other packages in the archive", False
    base = labels.get(BASE_NAME, "")
    if base in ingredients.bases and labels.get(BASE_DIGEST) != _digest(bases, base):
        return f"new {base}", False
    if _settings_changed(variant, labels.get(REVISION, "")):
        return f"changed: {FILE_NAME}", True
    return "other base image, site settings or version of hubtool", False


def _no_answer(error: HubtoolError) -> str:
    if isinstance(error, RegistryError) and error.status in (401, 403):
        return "not in the registry, or not for us to see"
    _warn(error.message)
    return "no answer from its registry"


@cache
def _warn(message: str) -> None:
    """Once, whatever the number of variants."""
    warn(message)


def _parents_digest(variant: Variant) -> str:
    return str(variant.job.settings.base).partition("@")[2]


def _labels(reference: ImageReference, manifest: Manifest) -> Mapping[str, str]:
    """The labels of the image behind MANIFEST; none where they can't be read."""
    config = document_of(manifest.content).get("config")
    digest = str(config.get("digest", "")) if isinstance(config, dict) else ""
    try:
        with short_client(reference) as client:
            found = json.loads(client.get_blob(digest)).get("config", {}).get("Labels")
    except (HubtoolError, ValueError, AttributeError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def changed_since(variant: Variant, commit: str) -> list[str]:
    """The files of the image's context that are not as they were in COMMIT, as paths below it."""
    words = ["diff", "--name-only", "--no-renames", "-z", "--relative"]
    return [name for name in _git(variant.job.context, words, commit, "--", ".").split("\0") if name]


def _settings_changed(variant: Variant, commit: str) -> bool:
    """Whether hubtool.yaml asked in COMMIT for another image than now, whatever its version."""
    try:
        now = load(variant.root)
        before = parse(_git(variant.root, ["show"], commit, after=f":./{FILE_NAME}").encode(), variant.root / FILE_NAME)
    except HubtoolError:
        return False
    name = image_of(variant.image)
    asked = [config.images[name].model_dump(exclude={"version"}) for config in (before, now) if name in config.images]
    return asked[:1] != asked[1:]


def _git(folder: Path, words: Sequence[str], commit: str, *more: str, after: str = "") -> str:
    """What git, run in FOLDER with WORDS, says of COMMIT; "" where it does not know that."""
    known = commit.removesuffix("-dirty")
    if not _COMMIT.fullmatch(known):  # whoever pushed the image wrote it; git would take -… for an option
        return ""
    try:
        found = git.Repo(folder, search_parent_directories=True)
        return str(found.git.execute(["git", "-C", str(folder.resolve()), *words, known + after, *more]))
    except (git.GitError, OSError):
        return ""
