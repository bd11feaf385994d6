from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.builders.dockerfile.lint import check_arguments, check_base
from hubtool.errors import HubtoolError

FILE = Path("Dockerfile")

WRONG = {
    "in a label": ("ARG V\nFROM a\nLABEL version=$V\n", 3, "V"),
    "in a command": ('ARG V\nFROM a\nRUN if [ -z "${V}" ]; then exit; fi\n', 3, "V"),
    "with a default": ("ARG V=1\nFROM a\nENV X=${V:-2}\n", 3, "V"),
    "on a continued line": ("ARG V\nFROM a\nRUN echo a && \\\n  echo $V\n", 3, "V"),
    "in a here-document": ("ARG V\nFROM a\nRUN <<EOF\necho $V\nEOF\n", 3, "V"),
    "declared in another stage": ("ARG V\nFROM a AS one\nARG V\nRUN echo $V\nFROM a\nRUN echo $V\n", 6, "V"),
    "declared in the stage it stands on": ("ARG V\nFROM a AS one\nARG V\nFROM one\nRUN echo $V\n", 5, "V"),
    "declared after it is used": ("ARG V\nFROM a\nRUN echo $V\nARG V\n", 3, "V"),
    "the second of two": ("ARG A=1 B=2\nFROM a\nARG A\nCOPY $A $B\n", 4, "B"),
}
RIGHT = {
    "in FROM": "ARG V\nFROM a:$V\n",
    "declared again": "ARG V\nFROM a\nARG V\nRUN echo $V\n",
    "set by ENV": "ARG V\nFROM a\nENV V=2\nRUN echo $V\n",
    "set by the old form of ENV": "ARG V\nFROM a\nENV V 2\nRUN echo $V\n",
    "set by ENV in the stage it stands on": "ARG V\nFROM a AS One\nENV V=2\nFROM one\nRUN echo $V\n",
    "set by the shell": "ARG V\nFROM a\nRUN V=2; echo $V\n",
    "a loop's": "ARG V\nFROM a\nRUN for V in a b; do echo $V; done\n",
    "read": "ARG V\nFROM a\nRUN cat x | while read -r V; do echo $V; done\n",
    "escaped": "ARG V\nFROM a\nRUN echo \\$V\n",
    "in single quotes": "ARG V\nFROM a\nRUN echo '$V'\n",
    "in a comment": "ARG V\nFROM a\n# $V\n",
    "another name": "ARG V\nFROM a\nRUN echo $VERSION ${VV}\n",
    "never declared": "FROM a\nRUN echo $HOME\n",
}


@pytest.mark.parametrize(("text", "line", "name"), WRONG.values(), ids=WRONG)
def test_an_argument_that_is_empty_where_it_is_used_is_refused(text: str, line: int, name: str) -> None:
    with pytest.raises(HubtoolError, match=f"^Dockerfile:{line}: {name} is empty here") as caught:
        check_arguments(text, FILE)
    assert caught.value.hint == f"add 'ARG {name}' after the FROM that this belongs to"


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_an_argument_that_is_there_is_not(text: str) -> None:
    check_arguments(text, FILE)


@pytest.mark.parametrize(
    ("text", "line"),
    [("# x\nFROM a\n", 2), ("ARG BASE\nFROM $BASE\n", 2), ("ARG BASE_IMAGE=a\nFROM b\nRUN echo $BASE_IMAGE\n", 2)],
)
def test_a_dockerfile_that_stands_on_something_else_than_is_said_is_refused(text: str, line: int) -> None:
    with pytest.raises(HubtoolError, match=f"^Dockerfile:{line}: no FROM has the build argument BASE_IMAGE") as caught:
        check_base(text, FILE, "BASE_IMAGE")
    assert str(caught.value.hint).startswith("write 'ARG BASE_IMAGE', then 'FROM ${BASE_IMAGE}'")


@pytest.mark.parametrize(
    "text",
    [
        "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n",
        "ARG BASE_IMAGE=a\nFROM --platform=x ${BASE_IMAGE:-b} AS one\nFROM scratch\nCOPY --from=one / /\n",
    ],
)
def test_a_dockerfile_that_stands_on_what_is_said_is_not(text: str) -> None:
    check_base(text, FILE, "BASE_IMAGE")
