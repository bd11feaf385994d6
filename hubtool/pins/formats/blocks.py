"""Files within a file: a chart's values in a block of text (Argo CD's ``values: |``, a ConfigMap's ``values.yaml: |``),
or in a heredoc of Terraform."""

from __future__ import annotations

import re

import yaml

from hubtool.pins import Unreadable
from hubtool.pins.formats.text import Document, compose, mask

# Keys whose text is a file: of Argo CD, Flux, k3s and Kustomize, of Terraform's providers, and of charts that want
# theirs as text.
_FILES = re.compile(
    r"(?i)(values(content)?|patch(es\w*)?|manifest|yaml_body|\w*containers|container_definitions|.*\.(ya?ml|json))\Z"
)

_FIRST = re.compile(r"\A((?:[ \t]*(?:#[^\n]*)?\r?\n)*[ ]*)---(?=\s)")
# Lines of Go's templates, which such a text may be, that only say when the others count.
_CONTROL = re.compile(
    r"(?m)^([ ]*)(\{\{-?[ ]*(?:(?:if|else|end|range|with)\b|/\*|\$\w+[ ]*:?=)[^\r\n]*\}\})(?=[ \t]*\r?$)"
)


def is_file(key: str) -> bool:
    """Whether a text under KEY may be a file of its own."""
    return bool(_FILES.match(key))


def inner(document: Document, node: yaml.ScalarNode) -> Document | None:
    """The text of NODE, a literal block or a heredoc, as YAML of its own, with positions in the file.

    None where it is no mapping or list, or stands in such a text itself. It reads where it stands as it does by itself,
    but for a "---" that no longer begins its line: the first is left out, any other is an error here.
    """
    if node.style != "|" or document.masked or document.within is not None:
        return None
    start = document.text.find("\n", int(node.start_mark.index) + document.offset) + 1
    end = int(node.end_mark.index) + document.offset
    if document.kind == "hcl":
        end = document.text.rfind("\n", start - 1, end) + 1  # the line that ends it is not its text
    text = _FIRST.sub(r"\1   ", document.text[start:end], count=1)
    nodes = _nodes(text) or (_nodes(mask(_without_control(text))) if "{{" in text or "{%" in text else ())
    if not any(isinstance(root, yaml.CollectionNode) for root in nodes):
        return None
    return Document(document.text, nodes, start, within=document)


def _nodes(text: str) -> tuple[yaml.Node, ...]:
    try:
        return compose(text)
    except (yaml.YAMLError, Unreadable):
        return ()


def _without_control(text: str) -> str:
    return _CONTROL.sub(lambda found: found[1] + "#" + "." * (len(found[2]) - 1), text)
