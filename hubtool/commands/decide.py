"""What a build would do with each variant, and why: nothing is built, no image's layers are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import git

from hubtool.builders import ARCHIVE, BASE_DIGEST, BASE_NAME, REVISION, Ingredients, get_builder
from hubtool.commands.earlier import IMAGE_ID, annotation, document_of
from hubtool.commands.promotion import BUILT, FINGERPRINT, Bases, find_built, is_old, look_up, short_client
from hubtool.console import counted
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant
from hubtool.reference import ImageReference
from hubtool.registries.model import Manifest

Action = Literal["build", "reuse", "skip"]
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
AT_ONCE = 8  # variants that registries are asked for
NAMED = 3  # changed files that a reason names


@dataclass(frozen=True)
class Decision:
    """What is done with a variant, and ``why``. ``digest`` is that of the image that is reused, ``image_id`` the id
    that it was built with, ``fingerprint`` what is wanted; "" where they are not known."""

    action: Action
    why: str
    fingerprint: str = ""
    digest: str = ""
    image_id: str = ""


def decide(
    variants: Sequence[Variant], start: Callable[[], Engine], again: Collection[str] = ()
) -> dict[str, Decision]:
    """The decision on each of VARIANTS, parents before children, by name. START gives the engine, which is asked for
    base images that no registry has. Those that AGAIN names are built whatever is there."""
    made: dict[str, Decision] = {}
    waiting = list(variants)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while waiting:
            ready = [one for one in waiting if one.parent is None or one.parent in made]
            found = pool.map(partial(_decide, made=made, start=start, again=again), ready)
            made |= dict(zip([one.image for one in ready], found, strict=True))
            waiting = [one for one in waiting if one.image not in made]
    return made


def _decide(
    variant: Variant, made: Mapping[str, Decision], start: Callable[[], Engine], again: Collection[str]
) -> Decision:
    if variant.image in again:
        return Decision("build", "--rebuild")
    parent = made[variant.parent] if variant.parent else None
    if parent and parent.action == "build":
        return Decision("build", f"built on {variant.parent}")
    if parent:
        base = variant.reference.with_tag(variant.reference.tag, parent.digest)
        settings = variant.job.settings.model_copy(update={"base": str(base)})
        job = replace(variant.job, settings=settings, on_parent=True)
        variant = replace(variant, job=job, parent_id=parent.image_id)
    with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
        ingredients = prepared.ingredients()
    bases = Bases(start, (str(variant.job.settings.base) if parent else "", variant.parent_id))
    fingerprint = ingredients.fingerprint(lambda base: _digest(bases, base))
    there = find_built(variant, fingerprint)
    if there is None:
        return Decision("build", _why(variant, ingredients, bases, fingerprint), fingerprint)
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


def _why(variant: Variant, ingredients: Ingredients, bases: Bases, fingerprint: str) -> str:
    """What is other than in the newest release."""
    newest = look_up(variant.reference.with_tag(variant.newest))
    if newest is None:
        return "not in the registry"
    if annotation(document_of(newest.content), FINGERPRINT) == fingerprint:
        return "did not pass today's tests"
    labels = _labels(variant.reference, newest)
    changed = changed_since(variant, labels.get(REVISION, ""))
    if changed:
        more = f" and {counted(len(changed) - NAMED, 'file')} more" if len(changed) > NAMED else ""
        return f"changed: {', '.join(changed[:NAMED])}{more}"
    if variant.parent and labels.get(BASE_DIGEST) not in ("", None, _parents_digest(variant)):
        return f"changed parent {variant.parent}"
    if ingredients.archive and labels.get(ARCHIVE) != ingredients.archive:
        return "other packages in the archive"
    base = labels.get(BASE_NAME, "")
    if base in ingredients.bases and labels.get(BASE_DIGEST) != _digest(bases, base):
        return f"new {base}"
    return "other settings, base image or version of hubtool"


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
    before = commit.removesuffix("-dirty")
    if not _COMMIT.fullmatch(before):  # whoever pushed the image wrote it; git would take -… for an option
        return []
    words = ["git", "-C", str(variant.job.context), "diff", "--name-only", "--no-renames", "-z", "--relative", before]
    try:
        told = git.Repo(variant.root, search_parent_directories=True).git.execute([*words, "--", "."])
    except (git.GitError, OSError):
        return []
    return [name for name in str(told).split("\0") if name]
