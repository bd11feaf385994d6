"""What an image carries and nobody uses: lists and downloads of package managers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hubtool.image.files import Entry, ImageFiles

# Less than this is a lock file or an index, not what a download leaves.
TOLERATED = 1_000_000
PLACES: Mapping[str, re.Pattern[str]] = {
    what: re.compile(f"({folder})/{files}")
    for what, folder, files in (
        ("apt's package lists", r"var/lib/apt/lists", r"(?!lock$|partial/|auxfiles/).+"),
        ("apt's downloads", r"var/cache/apt", r"(?:archives/.+\.deb|(?:src)?pkgcache\.bin)"),
        ("pip's cache", r"(?:.+/)?\.cache/pip", ".+"),
        ("uv's cache", r"(?:.+/)?\.cache/uv", ".+"),
        ("npm's cache", r"(?:.+/)?\.npm/_cacache", ".+"),
        ("yarn's cache", r"(?:.+/)?(?:\.cache/yarn|\.yarn/cache)", ".+"),
        ("R's downloads", r"tmp/(?:Rtmp[^/]+/)?downloaded_packages", ".+"),
    )
}
VARIABLES = {"PIP_CACHE_DIR": "pip's cache", "UV_CACHE_DIR": "uv's cache", "npm_config_cache": "npm's cache"}


def ballast(files: ImageFiles, environment: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """The bytes of each kind of ballast that a container sees, by what it is and its folder; ENVIRONMENT is the
    image's, and may say where a cache is."""
    found: dict[tuple[str, str], int] = {}
    moved = {f"{environment[name].strip('/')}/": what for name, what in VARIABLES.items() if environment.get(name)}
    alone = _single(files)
    for path, entry in files.visible.items():
        if entry.kind != "file":
            continue
        for what, place in _judge(path, moved, alone):
            found[what, place] = found.get((what, place), 0) + entry.size
    return {key: size for key, size in found.items() if size > TOLERATED}


def _judge(path: str, moved: Mapping[str, str], alone: set[str]) -> Iterator[tuple[str, str]]:
    """What ballast PATH is, if any, and where."""
    for what, pattern in PLACES.items():
        match = pattern.fullmatch(path)
        if match:
            yield what, f"/{match[1]}"
            return
    for folder, what in moved.items():
        if path.startswith(folder):
            yield what, f"/{folder.rstrip('/')}"
            return
    if path in alone:
        yield "conda's package cache", f"/{path.rpartition('/pkgs/')[0]}/pkgs"


def _single(files: ImageFiles) -> set[str]:
    """The files in conda's package caches that are not, as hard links, also those of an environment."""
    caches = {f"{path.removesuffix('conda-meta')}pkgs/" for path in files.visible if path.endswith("/conda-meta")}
    if not caches:
        return set()
    linked = {entry.twin for entry in files.visible.values() if entry.twin}
    return {
        path
        for path, entry in files.visible.items()
        if "/pkgs/" in path and not entry.twin and path not in linked and path.startswith(tuple(caches))
    }


def size(files: ImageFiles) -> int:
    """The bytes of all files that a container sees; one with several names counts once."""
    return sum(entry.size for entry in files.visible.values() if entry.kind == "file" and not entry.twin)


def layer_sizes(files: ImageFiles) -> list[int]:
    """The bytes of the files of each layer, also those that a later layer hides."""
    return [sum(_contents(layer).values()) for layer in files.layers]


def _contents(layer: list[Entry]) -> dict[int, int]:
    """Sizes by where the content lies: hard links have one content."""
    return {entry.offset: entry.size for entry in layer if entry.kind == "file"}
