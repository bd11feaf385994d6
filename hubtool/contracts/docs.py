"""What checks say of themselves, in their docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hubtool.contracts import OWN_TESTS, Promise

MEND = "To mend:"


@dataclass(frozen=True)
class Doc:
    """The parts of a check's docstring: its first line, what breaks for whom, and what to do."""

    promise: str = ""
    breaks: str = ""
    mend: str = ""


def read_docstring(check: object) -> Doc:
    """The docstring of CHECK in its parts; a part that is not there is ""."""
    return _parts(inspect.getdoc(check) if callable(check) else None)


def _parts(text: str | None) -> Doc:
    promise, *rest = [" ".join(part.split()) for part in (text or "").split("\n\n")]
    mend = [part.removeprefix(MEND).strip() for part in rest if part.startswith(MEND)]
    breaks = [part for part in rest if not part.startswith(MEND)]
    return Doc(promise.rstrip("."), " ".join(breaks), " ".join(mend))


def own_promises(file: Path) -> Iterator[Promise]:
    """The checks of a repository's own FILE, read and not run; none where it is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in _tests(tree):
        doc = _parts(ast.get_docstring(node))
        promise = doc.promise or node.name.removeprefix("test_").replace("_", " ")
        yield Promise(OWN_TESTS, node.name, promise, doc.breaks, doc.mend)


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    classes = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
    for node in (node for body in [tree.body, *classes] for node in body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node
