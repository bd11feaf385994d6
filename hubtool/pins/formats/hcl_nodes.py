"""HCL's native syntax (Terraform files, .tfvars) as nodes with positions, like YAML's.

A block is a mapping below its type and labels, blocks alike are a sequence: ``resource.docker_image.main[1].name``.
Of an expression only what may hold a reference is kept: its objects and tuples, and its string literals with a ":".
Takes some texts that Terraform refuses; of any that it takes, values and positions are right (hclsyntax/spec.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import yaml

from hubtool.pins import Unreadable

# The reader recurses, some four calls a level.
MAX_DEPTH = 100
# The tag of what Terraform alone can evaluate. Its value reads as a placeholder.
EXPRESSION = "hcl:expression"

_STR, _MAP, _SEQ = (f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq"))
_WORDS = {"true": "tag:yaml.org,2002:bool", "false": "tag:yaml.org,2002:bool", "null": "tag:yaml.org,2002:null"}
_NUMBER = "tag:yaml.org,2002:float"

_SPACE = r"(?:[ \t\r]++|(?:#|//)[^\n]*+|/\*(?s:.*?)\*/)*+"
_LITERAL = r"""(?:[^"\\\r\n$%]++|\\[^\r\n]|\$\$\{|%%\{|[$%](?!\{))*+"""
_BEFORE = re.compile(_SPACE)
_TEXT = re.compile(_LITERAL)
# With what stands for an expression of Jinja where a template is read.
_NAME = r"(?:[^\W\d]|\ue000)[\w\ue000-]*+"
_TOKEN = re.compile(
    rf"""{_SPACE}(?:(?P<ident>{_NAME})|(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<string>"{_LITERAL}")|(?P<quote>")"""
    rf"""|(?P<heredoc><<-?{_NAME}\r?\n)|(?P<mark>[\[\](){{}},\n]|=(?![=>]))"""
    r"""|(?P<operator>==|!=|>=|<=|&&|\|\||::|\.\.\.|=>|~(?=\})|/(?!\*)|[.*%+\-<>!?:])|(?P<end>\Z))"""
)
_ESCAPE = re.compile(r"\\(?:([nrt\"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|([$%])\4\{")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
# They make one text of their arguments: a name or a tag there is a piece of it.
_JOINING = ("join", "format", "formatlist", "replace")


def read_hcl(text: str) -> tuple[yaml.Node, ...]:
    """The body of TEXT (without BOM) as one mapping; raises Unreadable where it is not HCL."""
    return (_Reader(text).file(),)


class _Mark:
    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


# Any: all that anyone asks of a mark is its index.
_mark: Any = _Mark


class _Body:
    """The pairs of a mapping to be."""

    def __init__(self) -> None:
        self.pairs: list[tuple[yaml.Node, yaml.Node]] = []
        self._labelled: dict[str, _Body] = {}
        self._blocks: dict[str, int] = {}
        self._repeated: set[str] = set()

    def add(self, names: Sequence[yaml.ScalarNode], block: yaml.Node) -> None:
        """Put BLOCK below its type and labels, NAMES."""
        body = self
        for name in names[:-1]:
            inner = body._labelled.get(name.value)
            if inner is None:
                inner = body._labelled[name.value] = _Body()
                body.pairs.append((name, yaml.MappingNode(_MAP, inner.pairs, name.start_mark, block.end_mark)))
            body = inner
        body._put(names[-1], block)

    def _put(self, name: yaml.ScalarNode, block: yaml.Node) -> None:
        key = str(name.value)
        at = self._blocks.setdefault(key, len(self.pairs))
        if at == len(self.pairs):
            self.pairs.append((name, block))
            return
        first_name, first = self.pairs[at]
        if key not in self._repeated:
            self._repeated.add(key)
            first = yaml.SequenceNode(_SEQ, [first], first.start_mark, first.end_mark)
            self.pairs[at] = (first_name, first)
        first.value.append(block)


class _Reader:
    """Reads one token ahead: a method starts at its first token and leaves the one after its last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.kind = ""
        self.word = ""
        self.start = self.end = self.last = 0
        self.depth = 0
        self._advance()

    def file(self) -> yaml.MappingNode:
        node = self._body(0)
        if self.kind != "end":
            self._refuse()
        return node

    # ---- tokens

    def _advance(self) -> None:
        self.last = self.end
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            space = _BEFORE.match(self.text, self.end)
            self.start = space.end() if space else self.end
            self.word = self.text[self.start]
            self._refuse()
        self.kind = kind = str(match.lastgroup)
        self.word = match[kind]
        self.start, self.end = match.span(kind)

    def _skip_newlines(self) -> None:
        while self.word == "\n":
            self._advance()

    def _expect(self, *words: str) -> None:
        if self.word not in words:
            self._refuse()
        self._advance()

    def _refuse(self, what: str = "") -> NoReturn:
        shown = self.word[:20] if self.word.strip() else "the end of the line" if self.word else "the end"
        line = self.text.count("\n", 0, self.start) + 1
        raise Unreadable(f"is not HCL: {what or f'did not expect {shown}'} (line {line})")

    def _deeper(self, levels: int = 1) -> None:
        self.depth += levels
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"is nested deeper than {MAX_DEPTH} levels")

    # ---- bodies

    def _body(self, start: int) -> yaml.MappingNode:
        """Attributes and blocks, up to "}" or the end."""
        body = _Body()
        self._skip_newlines()
        while self.kind == "ident":
            name = self._name()
            if self.word == "=":
                self._advance()
                body.pairs.append((name, self._expression("\n", "}")))
            else:
                self._block(body, [name])
            if self.word not in ("\n", "}", ""):
                self._refuse()
            self._skip_newlines()
        return yaml.MappingNode(_MAP, body.pairs, _mark(start), _mark(self.start))

    def _block(self, body: _Body, names: list[yaml.ScalarNode]) -> None:
        while self.kind in ("ident", "string"):
            names.append(self._name() if self.kind == "ident" else self._string())
        start = self.start
        self._deeper(len(names))
        self._expect("{")
        block = self._body(start)
        self._expect("}")
        self.depth -= len(names)
        body.add(names, block)

    def _name(self) -> yaml.ScalarNode:
        node = self._scalar(_STR, self.word, self.start, self.end)
        self._advance()
        return node

    # ---- expressions

    def _expression(self, *stops: str) -> yaml.Node:
        """What stands before one of STOPS or the end; line ends do not count unless they are a stop."""
        start = end = self.start
        parts: list[yaml.Node] = []
        if self.kind == "string":
            parts.append(self._string())
            if self.word in stops:
                return parts[0]
            end = self.last
        others: list[str] = []
        is_term = bool(parts)
        while self.kind != "end" and self.word not in stops:
            if self.word == "\n":
                self._advance()
                continue
            kind = self.kind
            if kind in ("ident", "number", "operator"):
                others.append(self.word)
                self._advance()
            elif is_term and self.word in ("(", "["):
                parts += self._arguments(others[-1] if others else "")
                others.append("()")
            else:
                parts.append(self._part())
            is_term, end = kind != "operator", self.last
        if not parts and not others:
            self._refuse()
        return self._joined(parts, others, start, end)

    def _part(self) -> yaml.Node:
        if self.kind == "string":
            return self._string()
        if self.kind == "quote":
            return self._template()
        if self.kind == "heredoc":
            return self._heredoc()
        start = self.start
        if self.word == "{":
            return self._object()
        if self.word == "[":
            items = self._items("]")
            return yaml.SequenceNode(_SEQ, items, _mark(start), _mark(self.last))
        if self.word != "(":
            self._refuse()
        items = self._items(")")
        return items[0] if len(items) == 1 else self._joined(items, ["(", ")"], start, self.last)

    def _joined(self, parts: list[yaml.Node], others: list[str], start: int, end: int) -> yaml.Node:
        """One node of an expression's PARTS, beside which OTHERS stand."""
        if len(parts) == 1 and not others:
            return parts[0]
        if not parts and len(others) == 1:
            tag = _WORDS.get(others[0], _NUMBER if others[0][0].isdigit() else "")
            if tag:
                return self._scalar(tag, others[0], start, end)
        kept = [part for part in parts if _may_hold_reference(part)]
        if not kept:
            shown = self.text[start:end] if end - start <= 100 else "…"
            return self._scalar(EXPRESSION, f"${{{shown}}}", start, end)
        if len(kept) == 1 and isinstance(kept[0], yaml.CollectionNode):
            return kept[0]
        return yaml.SequenceNode(_SEQ, kept, _mark(start), _mark(end))

    def _arguments(self, function: str) -> list[yaml.Node]:
        items = self._items(")" if self.word == "(" else "]")
        return items if function not in _JOINING else [leaf for leaf in _literals(items) if "/" in leaf.value]

    def _items(self, close: str) -> list[yaml.Node]:
        self._open()
        return self._rest(close)

    def _open(self) -> None:
        self._deeper()
        self._advance()
        self._skip_newlines()

    def _rest(self, close: str) -> list[yaml.Node]:
        items: list[yaml.Node] = []
        while self.word != close:
            items.append(self._expression(",", close))
            if self.word != close:
                self._expect(",")
            self._skip_newlines()
        self._advance()
        self.depth -= 1
        return items

    def _object(self) -> yaml.Node:
        start = self.start
        self._open()
        if self.word == "for":
            return self._joined(self._rest("}"), ["for", "in"], start, self.last)
        pairs = []
        while self.word != "}":
            key = self._key()
            self._expect("=", ":")
            pairs.append((key, self._expression(",", "}", "\n")))
            if self.word != "}":
                self._expect(",", "\n")
            self._skip_newlines()
        self._advance()
        self.depth -= 1
        return yaml.MappingNode(_MAP, pairs, _mark(start), _mark(self.last))

    def _key(self) -> yaml.Node:
        start = self.start
        if self.kind == "ident":
            name = self._name()
            if self.word in ("=", ":"):
                return name
            self.end = start
            self._advance()
        node = self._expression("=", ":", "\n")
        if isinstance(node, yaml.ScalarNode) and node.tag == _STR:
            return node
        return self._scalar(_STR, self.text[start : min(self.last, start + 200)], start, self.last)

    # ---- texts

    def _string(self) -> yaml.ScalarNode:
        raw = self.word[1:-1]
        value = _ESCAPE.sub(_unescaped, raw) if "\\" in raw or "{" in raw else raw
        node = self._scalar(_STR, value, self.start, self.end, '"')
        self._advance()
        return node

    def _template(self) -> yaml.Node:
        """A quoted text with ${ } or %{ } in it: a placeholder, but for "${EXPRESSION}", which is the expression."""
        start, is_alone = self.start, self.text.startswith("${", self.end)
        inner: list[yaml.Node] = []
        self._deeper()
        at = self._text_end()
        while self.text[at : at + 1] != '"':
            self.end = at + (3 if self.text.startswith("~", at + 2) else 2)
            self._advance()
            inner.append(self._expression("}", "~"))
            if self.word == "~":
                self._advance()
            if self.word != "}":
                self._refuse("a text does not end")
            is_alone = is_alone and self.text.startswith('"', self.end)
            at = self._text_end()
        self.depth -= 1
        self.end = at + 1
        self._advance()
        if is_alone and _may_hold_reference(inner[0]):
            return inner[0]
        return self._scalar(_STR, self.text[start + 1 : at], start, at + 1, '"')

    def _text_end(self) -> int:
        """Where the text that starts at the token's end meets a quote, ${ or %{."""
        match = _TEXT.match(self.text, self.end)
        at = match.end() if match else self.end
        if self.text[at : at + 1] != '"' and self.text[at : at + 2] not in ("${", "%{"):
            self._refuse("a text does not end")
        return at

    def _heredoc(self) -> yaml.ScalarNode:
        start, body = self.start, self.end
        marker, at = self.word.lstrip("<-").strip(), self.end
        while at < len(self.text):
            stop = self.text.find("\n", at)
            line = self.text[at : stop if stop >= 0 else len(self.text)]
            if line.strip() == marker:
                self.end = at + len(line.rstrip())
                self._advance()
                return self._scalar(_STR, self.text[body:at], start, self.last, "|")
            at += len(line) + 1
        self._refuse(f"nothing ends <<{marker[:40]}")

    def _scalar(self, tag: str, value: str, start: int, end: int, style: str | None = None) -> yaml.ScalarNode:
        return yaml.ScalarNode(tag, value, _mark(start), _mark(end), style)


def _may_hold_reference(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) or (node.tag == _STR and ":" in node.value)


def _literals(nodes: Sequence[yaml.Node]) -> Iterator[yaml.ScalarNode]:
    pending = list(reversed(nodes))
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node
        else:
            pending += reversed([value[1] if isinstance(value, tuple) else value for value in node.value])


def _unescaped(match: re.Match[str]) -> str:
    letter, short, long, sign = match.groups()
    if letter or sign:
        return _ESCAPED[letter] if letter else f"{sign}{{"
    code = int(short or long, 16)
    # A lone surrogate is no character, and could not be printed.
    return match[0] if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)
