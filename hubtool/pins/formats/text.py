"""A file's bytes as nodes with positions, within bounds, or the reason why not."""

from __future__ import annotations

import gc
import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import yaml

from hubtool.pins import MAX_DEPTH, Template, Unreadable
from hubtool.pins.formats import events
from hubtool.pins.formats.hcl_nodes import read_hcl
from hubtool.pins.formats.json_nodes import read_json
from hubtool.pins.formats.kinds import Kind, kind_of

MAX_BYTES = 5_000_000
BOM = "\ufeff"
# One character for one, so that positions hold. Private use: no key, image or tag can contain it.
MASK = "\ue000"

_OPEN = re.compile(r"\{[{%#]")
_CLOSE = {"{{": "}}", "{%": "%}", "{#": "#}"}
_STATEMENTS = r"[ \t]*(?:(?:\{%(?:(?!%\})[^\n])*%\}|\{#(?:(?!#\})[^\n])*#\})[ \t]*)+\r?$"
_STATEMENT_LINES = re.compile(rf"(?m)^{_STATEMENTS}")
# What deep nesting needs: much indentation, many compact indicators in a row, or flow collections.
_DEEP = re.compile(r"(?m)^[ ]{300}|(?:[-?:][ \t]+){50}")


@dataclass(frozen=True)
class Document:
    """Decoded text and its documents. Node positions plus ``offset`` index ``text``. ``masked``: a template, read with
    its expressions masked; ``within``: the file's own, where this is a block of text in it."""

    text: str
    nodes: tuple[yaml.Node, ...]
    offset: int
    kind: Kind = "yaml"
    masked: bool = False
    within: Document | None = None

    @cached_property
    def _line_starts(self) -> list[int]:
        return [match.end() for match in re.finditer("\n", self.text)]

    def line(self, position: int) -> int:
        """The line (from 1) of a position in ``text``, as grep counts."""
        if self.within is not None:
            return self.within.line(position)
        return bisect_right(self._line_starts, position) + 1


@contextmanager
def no_collecting() -> Iterator[None]:
    """Leave the garbage collector alone. Nodes make no cycles; looking for some while a million of them are made
    takes most of the time that a large file takes."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def read(data: bytes, file: str) -> Document:
    """Decode and compose DATA; raises Unreadable for what is binary, encrypted, too large or not what FILE's name
    says: JSON, HCL, else YAML.

    A Jinja template that is not YAML, or HCL, is read with its expressions masked; positions hold all the same. Where
    that is not enough, raises Template.
    """
    text = decode(data)
    offset = 1 if text.startswith(BOM) else 0
    body = text[offset:]
    kind = kind_of(file)
    if kind == "json":
        return Document(text, read_json(body), offset, kind)
    if kind == "hcl":
        return Document(text, _hcl(body), offset, kind)
    try:
        return Document(text, compose(body), offset)
    except yaml.YAMLError as error:
        problem = error
    if "{{" in body or "{%" in body:
        try:
            return Document(text, compose(mask(body)), offset, masked=True)
        except yaml.YAMLError as error:
            raise Template(f"is a template that is not YAML: {_problem(error, body)}", text) from error
    raise Unreadable(f"is not YAML: {_problem(problem, body)}")


def _hcl(body: str) -> tuple[yaml.Node, ...]:
    try:
        return read_hcl(body)
    except Unreadable:
        if "{{" not in body and "{%" not in body:
            raise
    return read_hcl(mask(body))


def decode(data: bytes) -> str:
    """DATA as text; raises Unreadable for what is binary, encrypted or too large."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"is larger than {MAX_BYTES // 1_000_000} MB")
    if data.startswith(b"\0GITCRYPT"):
        raise Unreadable("is encrypted by git-crypt")
    if b"\0" in data:
        raise Unreadable("is binary, or text that is not UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 text (byte {error.start})") from error


def compose(text: str) -> tuple[yaml.Node, ...]:
    """The documents of TEXT, YAML; raises YAMLError, or Unreadable for what is nested too deep."""
    if text.count("[") + text.count("{") > MAX_DEPTH or _DEEP.search(text):
        _refuse_deep(text)
    try:
        return tuple(node for node in yaml.compose_all(text, Loader=yaml.CSafeLoader) if node is not None)
    except yaml.composer.ComposerError as error:
        if "duplicate anchor" not in str(error.context):
            raise
        return tuple(events.compose(text))


def _refuse_deep(text: str) -> None:
    # The composer recurses in C: nesting of some ten thousand levels would end the process. Events do not recurse.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Unreadable(f"is nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _problem(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return str(problem)
    # Not mark.line: YAML has more line ends than grep and editors have.
    line = text.count("\n", 0, mark.index) + 1
    return f"{problem} (line {line})"


def mask(text: str) -> str:
    """TEXT with Jinja made harmless, length and lines kept: lines of statements or comments alone become YAML's
    comments, other comments spaces, every other expression characters that no image or tag can hold."""
    text = _STATEMENT_LINES.sub(lambda match: _as_comments(match[0]), text)
    parts, at = [], 0
    for start, end in _expressions(text):
        parts += [text[at:start], _masked(text, start, end)]
        at = end
    return "".join([*parts, text[at:]])


def _expressions(text: str) -> Iterator[tuple[int, int]]:
    at, unclosed = 0, set()
    for found in _OPEN.finditer(text):
        if found.start() < at or found[0] in unclosed:
            continue
        end = text.find(_CLOSE[found[0]], found.end())
        if end < 0:
            unclosed.add(found[0])
            continue
        at = end + 2
        yield found.start(), at


def _masked(text: str, start: int, end: int) -> str:
    before, after = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    around = text[before:start] + text[end : after if after >= 0 else len(text)]
    if text[start + 1] != "{" and not around.strip():
        return _as_comments(text[start:end])
    return re.sub(r"[^\r\n]", " " if text[start + 1] == "#" else MASK, text[start:end])


def _as_comments(text: str) -> str:
    return re.sub(r"(?m)^([ \t]*)([^\s])([^\r\n]*)", _as_comment, text)


def _as_comment(line: re.Match[str]) -> str:
    return line[1].replace("\t", " ") + "#" + "." * len(line[3])
