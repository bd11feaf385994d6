"""hubtool pins: list the places that name an image, and edit them in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hubtool import console
from hubtool.errors import HubtoolError
from hubtool.pins import Pin
from hubtool.pins.choose import Choice, choose
from hubtool.pins.finders import shapes
from hubtool.pins.hubs import Hubs
from hubtool.pins.scan import Change, Scan
from hubtool.pins.tree import Tree
from hubtool.reference import ImageReference, is_tag

MAX_TOLD = 20
SHORT_DIGEST = 19


def list_pins(directory: Path, *, hub: str | None, image: str | None, root: Path, as_json: bool) -> None:
    """Print the pins below DIRECTORY: those of HUB, and of IMAGE, where they are given."""
    wanted = None if image is None else _image(image)
    found = _tree(directory, root).scan(hub)
    pins = [pin for pin in found.pins if wanted is None or _names(pin, wanted)]
    _tell("not read: {}", (f"{one.file} {one.why}" for one in found.skipped))
    if as_json:
        console.result_json([pin.as_json() for pin in pins])
    elif pins:
        console.result(console.table([_row(pin) for pin in pins], ("place", "image", "path", "left because")))
    else:
        console.say(f"no pin{f' of {image}' if image else ''} in {directory}")


def set_pins(
    directory: Path,
    *,
    image: str,
    tag: str,
    hub: str | None,
    from_tag: str | None,
    all_tags: bool,
    pin_digest: bool,
    root: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the pins of IMAGE below DIRECTORY to TAG, in place; prints the diff. Nothing is written before every
    edit is proven."""
    wanted, tag, digest = _image(image), *_tag(tag)
    tree = _tree(directory, root)
    found = tree.scan(hub)
    choice = choose(found.pins, wanted, tag, digest=digest, from_tag=from_tag, all_tags=all_tags, pin_digest=pin_digest)
    changes = tree.move(found, choice.moving, tag, digest, pin_digest=pin_digest)
    _tell_left(choice, found)
    if hub is not None:
        _tell_others(tree.hubs(hub), hub, changes)
    if changes and not dry_run:
        from hubtool.pins.write import write_changes

        write_changes(directory, changes)
    target = ImageReference.parse(choice.image).with_tag(tag, digest)
    _report(target, changes, pin_digest=pin_digest, dry_run=dry_run, as_json=as_json)


def _report(new: ImageReference, changes: Sequence[Change], *, pin_digest: bool, dry_run: bool, as_json: bool) -> None:
    if as_json:
        console.result_json([item for change in changes for item in _moved(change, new, pin_digest)])
    elif changes:
        console.result("".join(change.diff() for change in changes).rstrip("\n"))
    if not changes:
        console.say(f"nothing to do, it is at {new}")
        return
    tags = console.counted(sum(len(change.pins) for change in changes), "tag")
    done = f"{'would move' if dry_run else 'moved'} {tags} in {console.counted(len(changes), 'file')} to {new}"
    console.say(done)
    console.github_output({"files": "\n".join(change.file for change in changes)})
    console.github_summary(f"### hubtool pins set\n\n{done}")


def _tell_left(choice: Choice, found: Scan) -> None:
    name = ImageReference.parse(choice.image).repository
    _tell("left as it is: {}", (f"{pin}{f' ({pin.why})' if pin.why else ''}" for pin in choice.left))
    _tell("not read, but it speaks of the image: {}", (f"{one.file} {one.why}" for one in found.unread(name)))


def _tell_others(hubs: Hubs, hub: str, changes: Sequence[Change]) -> None:
    others = [name for name in hubs.touched(change.file for change in changes) if name != hubs.name_of(hub)]
    if others:
        console.warn(f"{hub} shares what changes with {', '.join(others)}")


def _tell(form: str, things: Iterable[str]) -> None:
    """Warn of each of THINGS, and of more than a person reads by their number."""
    everything = list(things)
    for thing in everything[:MAX_TOLD]:
        console.warn(form.format(console.printable(thing)))
    if len(everything) > MAX_TOLD:
        console.warn(form.format(f"{len(everything) - MAX_TOLD} more"))


# ---- what is printed


def _row(pin: Pin) -> tuple[str, ...]:
    tag = f":{pin.tag}" if pin.tag else ""
    digest = f"@{pin.digest[:SHORT_DIGEST]}…" if pin.digest else ""
    cells = (f"{pin.file}:{pin.line}", f"{pin.image}{tag}{digest}", pin.path, pin.why or "")
    return tuple(map(console.printable, cells))


def _moved(change: Change, to: ImageReference, pin_digest: bool) -> Iterator[dict[str, str | int]]:
    for pin in change.pins:
        old = f"{pin.tag}@{pin.digest}" if pin.digest else pin.tag
        new = f"{to.tag}@{to.digest}" if pin.digest or pin_digest else to.tag
        yield {"file": pin.file, "line": pin.line, "path": pin.path, "old": old, "new": new}
    if change.note:
        path, old, _, new = change.note.split()
        yield {"file": change.file, "line": _line_of(change), "path": path, "old": old, "new": new}


def _line_of(change: Change) -> int:
    """The line that changes and is no pin's."""
    pairs = enumerate(zip(change.before.split(b"\n"), change.after.split(b"\n"), strict=True), 1)
    changed = [number for number, (before, after) in pairs if before != after]
    pinned = {pin.line for pin in change.pins}
    return next((number for number in changed if number not in pinned), changed[0])


# ---- arguments


def _tree(directory: Path, root: Path) -> Tree:
    """The files below DIRECTORY, as ROOT's hubtool.yaml describes them where there is one."""
    if not (root / "hubtool.yaml").exists():
        return Tree(directory)
    from hubtool.config import load

    deployment = load(root).deployment
    if deployment is None:
        return Tree(directory)
    return Tree(directory, deployment.paths, deployment.charts, deployment.chart_version)


def _image(text: str) -> ImageReference:
    image = ImageReference.parse(text)
    if image.tag or image.digest:
        raise HubtoolError(f"--image {text}: name it without tag and digest")
    return image


def _tag(text: str) -> tuple[str, str | None]:
    """TAG or TAG@DIGEST."""
    tag, at, digest = text.partition("@")
    if not is_tag(tag):
        raise HubtoolError(f"'{tag}' is not a tag", hint="a tag has 1 to 128 letters, digits, '_', '.' or '-'")
    return tag, ImageReference.parse(f"image@{digest}").digest if at else None


def _names(pin: Pin, image: ImageReference) -> bool:
    """Whether PIN is one of IMAGE, on whatever host where IMAGE has none."""
    reference = shapes.parse(pin.image)
    if reference is None:
        return False
    return reference.same_repository(image) or (not image.registry and reference.repository == image.repository)
