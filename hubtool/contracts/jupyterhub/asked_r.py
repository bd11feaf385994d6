"""Which R packages install.R and DESCRIPTION ask for."""

from __future__ import annotations

import re

from hubtool.image.owners.tree import fields

# install.packages and its kin in devtools, remotes, pak, BiocManager and renv; the first argument says what.
_INSTALL = (
    r"(?:install\.packages|install_(?:version|cran|bioc|github|gitlab|git)|BiocManager::install|biocLite"
    r"|pak::pak|pkg_install|renv::install)"
)
_CALL = re.compile(rf"(?<![\w.]){_INSTALL}\s*\(")
_APPLY = re.compile(r"\b[sl]apply\s*\(")
_APPLIED = re.compile(rf"\s*,[^\n]{{0,100}}?(?<![\w.]){_INSTALL}\b")
DEEPEST = 3  # variables that are made of others
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]+")
_VARIABLE = re.compile(r"\s*([A-Za-z.][\w.]*)\s*")
# Comes with R itself.
_BASE = frozenset(("R", "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel"))
_BASE |= {"splines", "stats", "stats4", "tcltk", "tools", "utils"}


def install_r(text: str) -> list[str]:
    """The packages that an install.R names, as strings in calls that install: ``install.packages(c("a", "b"))``,
    by way of a variable, a loop or sapply too, or as ``OWNER/REPOSITORY``."""
    code = _without_comments(text)
    asked = [_first_argument(code, call.end()) for call in _CALL.finditer(code)]
    for call in _APPLY.finditer(code):
        first = _first_argument(code, call.end())
        if _APPLIED.match(code, call.end() + len(first)):
            asked.append(first)
    names = [_package(string) for first in asked for string in _strings(_followed(first, code))]
    return [name for name in dict.fromkeys(names) if name]


def _followed(first: str, code: str) -> str:
    """FIRST, or where it is a variable what CODE sets that to, or lets it run through."""
    for _ in range(DEEPEST):
        first = re.sub(r"\[.*\]", "", first, flags=re.DOTALL)  # a choice among them
        named = _VARIABLE.fullmatch(first)
        given = named and re.search(rf"(?<![\w.]){re.escape(named[1])}\s*(?:<-|=|in\b)\s*", code)
        if not given:
            return first
        first = _first_argument(code, given.end())
    return first


def _without_comments(text: str) -> str:
    """TEXT with comments gone, strings kept."""
    return re.sub(r"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|#[^\n]*", lambda match: match[1] or "", text)


def _first_argument(code: str, start: int) -> str:
    """The text from START to the comma or bracket that ends an argument, brackets within it being whole."""
    depth, at = 0, start
    while at < len(code):
        string = _STRING.match(code, at)
        if string:
            at = string.end()
            continue
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(code[at], 0)
        if depth < 0 or (depth == 0 and code[at] in ",;\n" and code[start:at].strip()):
            break
        at += 1
    return code[start:at]


def _strings(text: str) -> list[str]:
    return [match[1] or match[2] or "" for match in _STRING.finditer(text)]


def _package(text: str) -> str:
    """The package that a string of such a call means: ``owner/repo@ref`` is ``repo``, ``bioc::a`` is ``a``."""
    if text.startswith((".", "/")):
        return ""  # a folder, whose name need not be the package's
    name = re.split(r"[@#?]", text.rpartition("::")[2])[0].removesuffix(".git").rstrip("/").rpartition("/")[2]
    return name if _NAME.fullmatch(name) and name not in _BASE else ""


def description(text: str) -> list[str]:
    """The packages that a DESCRIPTION needs: Depends and Imports."""
    read = fields(text)
    wanted = ",".join(value for key in ("depends", "imports") for value in read.get(key, []))
    names = [match[0] for item in wanted.split(",") if (match := _NAME.match(item.strip()))]
    return [name for name in dict.fromkeys(names) if name not in _BASE]
