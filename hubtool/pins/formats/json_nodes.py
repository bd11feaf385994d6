"""JSON as nodes with positions, like YAML's: what PyYAML can't read of it (tabs, ``\\/``, surrogates) it need not."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from hubtool.pins import MAX_DEPTH, Unreadable

_YAML = "tag:yaml.org,2002:"
_SPACE = r"[ \t\n\r]*"
_STRING = r'"(?:(?P<string>[^"\\\x00-\x1f]*)"|(?P<escaped>))'
_KEY = re.compile(_SPACE + _STRING)
_COLON = re.compile(_SPACE + ":")
_VALUE = re.compile(
    rf"{_SPACE}(?:{_STRING}|(?P<int>-?(?:0|[1-9][0-9]*)(?![0-9.eE]))"
    r"|(?P<float>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<bool>true|false)|(?P<null>null)|(?P<map>\{)|(?P<seq>\[))"
)
_NEXT = re.compile(_SPACE + r"([,\]}])")
_CLOSE = {"map": re.compile(_SPACE + r"\}"), "seq": re.compile(_SPACE + r"\]")}
_REST = re.compile(_SPACE)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()


class _Mark:
    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def read_json(text: str) -> tuple[yaml.Node, ...]:
    """The one document of TEXT (without BOM); raises Unreadable where it is not JSON (RFC 8259).

    Strings have style '"', everything else none. A key that stands twice does so in the tree. Half a surrogate pair
    reads as U+FFFD, since no output could show it.
    """
    return (_Reader(text).document(),)


class _Reader:
    """Reads on from ``at``. Does not recurse."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> yaml.Node:
        stack: list[tuple[yaml.CollectionNode, yaml.ScalarNode | None]] = []
        while True:
            node, opened = self._value()
            if opened is not None:
                if len(stack) == MAX_DEPTH:
                    raise Unreadable(f"is nested deeper than {MAX_DEPTH} levels")
                stack.append((opened, self._key(opened)))
                continue
            while stack:
                collection, key = stack[-1]
                collection.value.append(node if key is None else (key, node))
                if self._goes_on(collection):
                    stack[-1] = (collection, self._key(collection))
                    break
                stack.pop()
                node = collection
            else:
                self._finish()
                return node

    def _value(self) -> tuple[yaml.Node, yaml.CollectionNode | None]:
        """The next value; twice where it is a collection that is still to be filled."""
        found = _VALUE.match(self.text, self.at)
        kind = found.lastgroup if found else None
        if found is None or kind is None:
            raise self._expected("a value")
        start = found.start(kind)
        self.at = found.end()
        if kind in ("string", "escaped"):
            return self._string(found), None
        if kind in ("map", "seq"):
            return self._collection(kind, start)
        return self._node(yaml.ScalarNode, kind, found[kind], start), None

    def _key(self, collection: yaml.Node) -> yaml.ScalarNode | None:
        """The next key of a mapping; None in a sequence."""
        if not isinstance(collection, yaml.MappingNode):
            return None
        found = _KEY.match(self.text, self.at)
        if found is None:
            raise self._expected("a key in double quotes")
        self.at = found.end()
        key = self._string(found)
        colon = _COLON.match(self.text, self.at)
        if colon is None:
            raise self._expected("':'")
        self.at = colon.end()
        return key

    def _string(self, found: re.Match[str]) -> yaml.ScalarNode:
        value = found["string"]
        start = found.start(found.lastgroup or 0) - 1
        if value is None:
            try:
                value, self.at = _DECODER.raw_decode(self.text, start)
            except json.JSONDecodeError as error:
                self.at = error.pos
                raise self._expected("a string that ends, and in it no bare control character or bad escape") from error
            value = _LONE_SURROGATE.sub("\ufffd", value)
        node: yaml.ScalarNode = self._node(yaml.ScalarNode, "str", value, start)
        node.style = '"'
        return node

    def _collection(self, kind: str, start: int) -> tuple[yaml.Node, yaml.CollectionNode | None]:
        node = self._node(yaml.MappingNode if kind == "map" else yaml.SequenceNode, kind, [], start)
        node.flow_style = True
        empty = _CLOSE[kind].match(self.text, self.at)
        if empty:
            self.at = empty.end()
            node.end_mark = _Mark(self.at)
        return node, None if empty else node

    def _goes_on(self, collection: yaml.CollectionNode) -> bool:
        """Whether a comma follows; ends COLLECTION where its bracket does."""
        close = "}" if isinstance(collection, yaml.MappingNode) else "]"
        found = _NEXT.match(self.text, self.at)
        if found is None or found[1] not in (",", close):
            raise self._expected(f"',' or '{close}'")
        self.at = found.end()
        if found[1] == ",":
            return True
        end: Any = _Mark(self.at)
        collection.end_mark = end
        return False

    def _node(self, kind: type[yaml.Node], tag: str, value: Any, start: int) -> Any:
        # Any: types-PyYAML wants marks with line and column, which nobody reads.
        marks: Any = (_Mark(start), _Mark(self.at))
        return kind(_YAML + tag, value, *marks)

    def _finish(self) -> None:
        rest = _REST.match(self.text, self.at)
        self.at = rest.end() if rest else self.at
        if self.at != len(self.text):
            raise self._expected("nothing more")

    def _expected(self, what: str) -> Unreadable:
        rest = _REST.match(self.text, self.at)
        at = rest.end() if rest else self.at
        if self.text.startswith(("//", "/*"), at):
            what += ", not a comment"
        return Unreadable(f"is not JSON: expected {what} (line {self.text.count(chr(10), 0, at) + 1})")
