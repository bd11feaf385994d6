"""Versions that have to be raised: those of images that changed, and of all that is built on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hubtool.commands.decide import AT_ONCE, Decision
from hubtool.commands.promotion import ask_for, look_up
from hubtool.config import FILE_NAME, Config, parse
from hubtool.errors import HubtoolError
from hubtool.files import write_whole
from hubtool.pins.versions import next_version, with_versions
from hubtool.plan import read_graph
from hubtool.plan.graph import Node
from hubtool.plan.source import Source
from hubtool.reference import ImageReference

MOST_TRIES = 1000


def find_taken(nodes: Sequence[Node], decisions: Mapping[str, Decision], *, surely: bool) -> dict[str, ImageReference]:
    """The images among NODES that are built for a change, though a tag with their version names another image
    already: by name, with that reference. Where a registry can't be asked nothing is taken; SURELY raises HubtoolError.
    """
    ask = ask_for if surely else look_up
    changed = [node for node in nodes if decisions[node.id].changes]
    asked = [(node.image, node.repository.with_tag(tag)) for node in changed for tag in sorted(node.versioned)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, [reference for _, reference in asked]))
    found: dict[str, ImageReference] = {}
    for (image, reference), there in zip(asked, answers, strict=True):
        if there:
            found.setdefault(image, reference)
    return found


def refuse(taken: Mapping[str, ImageReference]) -> None:
    """Raise HubtoolError where versions are TAKEN."""
    if taken:
        raise HubtoolError(tell(taken), hint="hubtool plan --raise-versions, then commit")


def tell(taken: Mapping[str, ImageReference]) -> str:
    """The references of TAKEN versions in a line."""
    return "versions that name another image already: " + ", ".join(str(reference) for reference in taken.values())


def raise_versions(root: Path, config: Config, source: Source, images: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Raise the version of IMAGES in ROOT's hubtool.yaml, and change nothing else there: old and new of each.

    Its last number goes up until none of the image's tags is taken. Raises HubtoolError, with the file as it was, for
    a version without a number, or one that does not stand with its image.
    """
    raised = {image: _raised(root, config, source, image) for image in images}
    file = root / FILE_NAME
    after = with_versions(file.read_bytes(), file, {image: new for image, (_, new) in raised.items()})
    parse(after, file)
    write_whole(file, after.decode())
    return raised


def _raised(root: Path, config: Config, source: Source, name: str) -> tuple[str, str]:
    old = version = str(config.images[name].version)
    for _ in range(MOST_TRIES):
        version = next_version(version)
        image = config.images[name].model_copy(update={"version": version})
        other = config.model_copy(update={"images": {**config.images, name: image}})
        tags = {
            node.repository.with_tag(tag)
            for node in read_graph(other, root, source).of([name])
            for tag in node.versioned
        }
        if not any(map(ask_for, tags)):
            return old, version
    raise HubtoolError(f"{name}: the {MOST_TRIES} versions after {old} are taken")
