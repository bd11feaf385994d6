"""Where the space of an image goes: one HTML page that needs nothing else, a treemap with a table below.

Squarified: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby

from hubtool.console import bytes_text
from hubtool.image.inventory import Inventory

WIDTH, HEIGHT = 1000.0, 560.0
REST = "no package"
SMALLEST = 1 / 4000  # of the whole; what is smaller goes together
LABELLED = (46.0, 17.0)  # smallest width and height of a cell with room for its name


@dataclass(frozen=True)
class Item:
    """Something that takes space."""

    group: str
    name: str
    version: str
    place: str
    size: int


@dataclass(frozen=True)
class Rect:
    """A rectangle, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def items_of(inventory: Inventory) -> list[Item]:
    """What takes space in an image, the biggest first."""
    sizes = inventory.sizes
    found = [Item(p.ecosystem, p.name, p.version, p.place, sizes.get(p.key, 0)) for p in inventory.packages]
    found += [Item(REST, folder.strip("/") or "/", "", "", size) for folder, size in inventory.rest.items()]
    return sorted(found, key=lambda item: (-item.size, item.group, item.name, item.place))


def squarify(sizes: Sequence[float], area: Rect) -> list[Rect]:
    """A rectangle for each of SIZES (positive, the biggest first), as square as can be; together they are AREA."""
    if not sizes:
        return []
    scale = area.width * area.height / sum(sizes)
    areas = [size * scale for size in sizes]
    found: list[Rect] = []
    while len(found) < len(areas):
        row = _row(areas[len(found) :], min(area.width, area.height))
        last = len(found) + len(row) == len(areas)
        placed, area = _place(row, area, last)
        found += placed
    return found


def _row(areas: Sequence[float], side: float) -> list[float]:
    """As many of AREAS as stand along SIDE without getting slimmer."""
    total, best = 0.0, float("inf")
    for count, one in enumerate(areas):
        total += one
        worst = max(side**2 * areas[0] / total**2, total**2 / (side**2 * one)) if side and one else best
        if worst > best:
            return list(areas[:count])
        best = worst
    return list(areas)


def _place(row: Sequence[float], area: Rect, last: bool) -> tuple[list[Rect], Rect]:
    """ROW along the shorter side of AREA, and what is left of that; the LAST one fills it."""
    wide = area.width >= area.height
    side, depth = (area.height, area.width) if wide else (area.width, area.height)
    thick = depth if last else min(depth, sum(row) / side if side else 0.0)
    found, at = [], 0.0
    for one in row:
        length = side * one / sum(row)
        place = (area.x, area.y + at, thick, length) if wide else (area.x + at, area.y, length, thick)
        found.append(Rect(*place))
        at += length
    if wide:
        return found, Rect(area.x + thick, area.y, area.width - thick, area.height)
    return found, Rect(area.x, area.y + thick, area.width, area.height - thick)


def page(inventory: Inventory, title: str, facts: Sequence[tuple[str, str]] = ()) -> str:
    """The page of an image: TITLE, FACTS (name, value), the treemap, every package in a table."""
    items = items_of(inventory)
    style, script = _asset("treemap.css"), _asset("treemap.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    told = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts)
    groups = _groups(items)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{_text(title)}</h1><dl>{told}</dl></header>
<main>
<nav aria-label="Parts of the treemap">{_buttons(groups)}</nav>
<svg id="map" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-labelledby="map-title">
<title id="map-title">Size of what is installed; the table below has the same in words</title>
{"".join(_cells(groups))}</svg>
<p id="tip" aria-hidden="true"></p>
<label>Show <input id="filter" type="search" placeholder="name, ecosystem or place"></label>
<table>
<caption>{len(items)} entries, the biggest first</caption>
<thead><tr><th scope="col">name</th><th scope="col">version</th><th scope="col">ecosystem</th>\
<th scope="col">place</th><th scope="col" class="number">size</th></tr></thead>
<tbody>
{"".join(map(_table_row, items))}</tbody>
</table>
</main>
<script>{script}</script>
</body>
</html>
"""


def _groups(items: Sequence[Item]) -> list[tuple[str, int, list[Item]]]:
    """The groups with their sizes and what is in them, all the biggest first; the smallest items as one."""
    total = sum(item.size for item in items)
    found = []
    for group, members in groupby(sorted(items, key=lambda item: item.group), key=lambda item: item.group):
        inside = list(members)  # still the biggest first
        large = [item for item in inside if item.size >= max(1, total * SMALLEST)]
        small = sum(item.size for item in inside[len(large) :])
        if small:
            large.append(Item(group, f"{len(inside) - len(large)} smaller", "", "", small))
        found.append((group, sum(item.size for item in inside), sorted(large, key=lambda item: -item.size)))
    return sorted(found, key=lambda entry: -entry[1])


def _buttons(groups: Sequence[tuple[str, int, list[Item]]]) -> str:
    total = sum(size for _, size, _ in groups)
    parts = [f'<button type="button" data-group="" aria-pressed="true">all {_size(total)}</button>']
    for group, size, _ in groups:
        name = escape(group, quote=True)
        swatch = f'<i class="{_css(group)}"></i>'
        parts.append(
            f'<button type="button" data-group="{name}" aria-pressed="false">{swatch}{name} {_size(size)}</button>'
        )
    return "".join(parts)


def _cells(groups: Sequence[tuple[str, int, list[Item]]]) -> Iterator[str]:
    shown = [entry for entry in groups if entry[1]]
    for (group, _, items), area in zip(
        shown, squarify([size for _, size, _ in shown], Rect(0, 0, WIDTH, HEIGHT)), strict=True
    ):
        bounds = " ".join(f"{value:.3f}" for value in (area.x, area.y, area.width, area.height))
        yield f'<g class="{_css(group)}" data-group="{escape(group, quote=True)}" data-bounds="{bounds}">\n'
        for item, rect in zip(items, squarify([item.size for item in items], area), strict=True):
            yield _cell(item, rect)
        yield "</g>\n"


def _cell(item: Item, rect: Rect) -> str:
    hidden = rect.width < LABELLED[0] or rect.height < LABELLED[1]
    place = f" in {item.place}" if item.place else ""
    tip = f"{item.name} {item.version}".strip() + f", {bytes_text(item.size)} ({item.group}{place})"
    return (
        f'<svg x="{rect.x:.3f}" y="{rect.y:.3f}" width="{rect.width:.3f}" height="{rect.height:.3f}"'
        f'{" class=small" if hidden else ""}><title>{_text(tip)}</title><rect width="100%" height="100%"/>'
        f'<text x="4" y="13">{_text(item.name)}</text><text x="4" y="27">{_size(item.size)}</text></svg>\n'
    )


def _table_row(item: Item) -> str:
    cells = "".join(f"<td>{_text(text)}</td>" for text in (item.version, item.group, item.place))
    return f'<tr><th scope="row">{_text(item.name)}</th>{cells}<td class="number">{_size(item.size)}</td></tr>\n'


def _css(group: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in group)


def _size(size: int) -> str:
    return escape(bytes_text(size))


def _text(text: str) -> str:
    """TEXT for a page. What no page may hold, halves of characters say, is replaced."""
    return escape(text.encode("utf-8", "replace").decode(), quote=True)


def _asset(name: str) -> str:
    return files("hubtool.image").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
