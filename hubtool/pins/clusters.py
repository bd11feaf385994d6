"""2i2c's cluster.yaml: the hubs of a cluster, and the files each is made of."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import yaml

from hubtool.errors import HubtoolError, Where
from hubtool.pins import Unreadable
from hubtool.pins.formats.text import read

CLUSTER_FILE = "cluster.yaml"
VALUES = "helm_chart_values_files"

_LINE = re.compile(r"\(line (\d+)\)\Z")


def cluster_of(file: str) -> str:
    """The name of the cluster that FILE describes: its folder's; "" where it describes none."""
    folder, _, name = file.rpartition("/")
    return posixpath.basename(folder) if name == CLUSTER_FILE and "templates" not in folder.split("/") else ""


def read_cluster(data: bytes, file: str, *, strict: bool) -> dict[str, tuple[str, ...]]:
    """The hubs that FILE names, each with its files in the order in which they are applied.

    Raises HubtoolError with file, line and key for what is malformed or leads outside the repository. Unless
    STRICT, a file that says nothing of values files is something else of that name, and has no hubs.
    """
    if not strict and VALUES.encode() not in data:
        return {}
    try:
        nodes = read(data, file).nodes
    except Unreadable as reason:
        line = _LINE.search(str(reason))
        raise HubtoolError(str(reason), where=Where(file, int(line[1]) if line else None)) from reason
    found: dict[str, tuple[str, ...]] = {}
    for key, hub in _items(_value(nodes[0], "hubs") if nodes else None, file, "hubs"):
        name = _value(hub, "name")
        if not isinstance(name, yaml.ScalarNode) or not name.value:
            raise HubtoolError("a hub without a name", where=_where(file, hub, key))
        if name.value in found:
            raise HubtoolError(f"a second hub called '{name.value}'", where=_where(file, name, f"{key}.name"))
        found[str(name.value)] = tuple(_files(hub, file, f"{key}.{VALUES}"))
    return found


def inside(folder: str, place: str, where: Where) -> str:
    """PLACE, relative to FOLDER, from the repository's root; raises HubtoolError where it leads out of that."""
    clean = posixpath.normpath(posixpath.join(folder, place))
    if clean.startswith(("/", "../")) or clean == "..":
        raise HubtoolError(f"'{place}' leads outside the deployment repository", where=where)
    return clean


def _files(hub: yaml.Node, file: str, key: str) -> Iterator[str]:
    for inner, item in _items(_value(hub, VALUES), file, key):
        if not isinstance(item, yaml.ScalarNode):
            raise HubtoolError("expected a file's name", where=_where(file, item, inner))
        yield inside(posixpath.dirname(file), str(item.value), _where(file, item, inner))


def _items(node: yaml.Node | None, file: str, key: str) -> Iterator[tuple[str, yaml.Node]]:
    """The items of a list, each with its key; none where there is no list."""
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return
    if not isinstance(node, yaml.SequenceNode):
        raise HubtoolError("expected a list", where=_where(file, node, key))
    for number, item in enumerate(node.value):
        yield f"{key}[{number}]", item


def _value(node: yaml.Node, key: str) -> yaml.Node | None:
    """What stands at KEY; the last one wins, as it does for those who load the file."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in reversed(pairs) if name.value == key), None)


def _where(file: str, node: yaml.Node, key: str) -> Where:
    return Where(file, node.start_mark.line + 1, key)
