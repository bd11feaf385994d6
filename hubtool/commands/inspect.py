"""hubtool inspect: what is installed in an image, and what takes the space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hubtool import console
from hubtool.commands.contents import Contents, find_reference, pull_contents, read_contents, read_engine_contents
from hubtool.commands.promotion import ask_for
from hubtool.console import bytes_text, printable
from hubtool.engines import choose_engine
from hubtool.errors import HubtoolError
from hubtool.files import write_whole
from hubtool.image.changes import total_size
from hubtool.image.inventory import Inventory
from hubtool.image.treemap import REST, items_of, page
from hubtool.reference import ImageReference


def inspect(image: str, *, root: Path, engine: str | None, pull: bool, html: Path | None, as_json: bool) -> None:
    """Print what is installed in IMAGE; with HTML also write the page that draws it. Raises HubtoolError where
    nothing tells what is inside."""
    reference = find_reference(image, root)
    contents, inventory = _pulled(reference) if pull else _look(reference, engine)
    if html is not None:
        write_whole(html, page(inventory, contents.name, _facts(contents, inventory)))
        console.say(f"wrote {html}")
    if as_json:
        console.result_json(_data(contents, inventory))
    else:
        console.result(_tables(contents, inventory))


def _pulled(reference: ImageReference) -> tuple[Contents, Inventory]:
    contents = pull_contents(reference)
    if contents is None or contents.inventory is None:
        raise HubtoolError(f"its registry has no {reference}")
    return contents, contents.inventory


def _look(reference: ImageReference, engine: str | None) -> tuple[Contents, Inventory]:
    """What the registry tells, else what the engine's image has."""
    try:  # asked once and soon given up: what was just built is in the engine, wherever its registry is
        released, problem = (read_contents(reference) if ask_for(reference) else None), None
    except HubtoolError as error:
        released, problem = None, error
    contents = released if released and released.inventory else _in_engine(reference, engine)
    if contents and contents.inventory:
        return contents, contents.inventory
    if problem:
        raise problem
    if released:
        raise HubtoolError(
            f"nothing attached to {released.name} tells what is inside",
            hint="images that hubtool pushes carry an SBOM; to read the layers of this one: --pull",
        )
    raise HubtoolError(f"neither its registry nor an engine here has {reference}", hint="build it, or name another tag")


def _in_engine(reference: ImageReference, name: str | None) -> Contents | None:
    try:
        engine = choose_engine(name)
    except HubtoolError:
        return None
    return read_engine_contents(engine, reference)


# ---- what is printed


def _facts(contents: Contents, inventory: Inventory) -> list[tuple[str, str]]:
    facts = [("installed", bytes_text(total_size(inventory))), ("packages", str(len(inventory.packages)))]
    if contents.layers:
        travelling = contents.travelling
        facts.append(("to pull", f"{bytes_text(sum(travelling.values()))} in {len(travelling)} layers"))
    return facts


def _tables(contents: Contents, inventory: Inventory) -> str:
    items = [item for item in items_of(inventory) if item.group != REST]
    rows = [
        tuple(map(printable, (item.name, item.version, item.group, item.place, bytes_text(item.size))))
        for item in items
    ]
    parts = [console.table(rows, ("package", "version", "ecosystem", "place", "size"))] if rows else []
    counted = [(group, str(count), bytes_text(size)) for group, (count, size) in _totals(inventory).items()]
    parts.append(console.table(counted, ("ecosystem", "packages", "size")))
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(contents, inventory))
    return "\n\n".join([*parts, f"{contents.name}\n{facts}"])


def _totals(inventory: Inventory) -> dict[str, tuple[int, int]]:
    """Packages and bytes of each ecosystem, the biggest first; last those files that are nobody's."""
    sizes = _sum((package.ecosystem, inventory.sizes.get(package.key, 0)) for package in inventory.packages)
    counts = Counter(package.ecosystem for package in inventory.packages)
    found = {group: (counts[group], size) for group, size in sorted(sizes.items(), key=lambda pair: -pair[1])}
    return found | {REST: (0, sum(inventory.rest.values()))}


def _sum(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, size in pairs:
        found[key] += size
    return found


def _data(contents: Contents, inventory: Inventory) -> dict[str, Any]:
    items = [item for item in items_of(inventory) if item.group != REST]
    return {
        "reference": contents.name,
        "distribution": inventory.distribution,
        "size": total_size(inventory),
        "packages": [
            {"ecosystem": i.group, "name": i.name, "version": i.version, "place": i.place, "size": i.size}
            for i in items
        ],
        "ecosystems": {
            group: {"packages": count, "size": size}
            for group, (count, size) in _totals(inventory).items()
            if group != REST
        },
        "rest": dict(inventory.rest),
        "layers": [{"digest": layer.digest, "size": layer.size} for layer in contents.layers],
    }
