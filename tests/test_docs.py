"""What the README and docs/ say must be what the program does."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def help_of(*verb: str) -> str:
    argv = [sys.executable, "-m", "hubtool", *verb, "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def verbs(*above: str) -> Iterator[tuple[str, ...]]:
    """The verbs below ABOVE, as words; those that have verbs of their own are followed by these."""
    for line in help_of(*above).partition("Commands:")[2].splitlines():
        if re.match(r"  \S", line):
            verb = (*above, line.split()[0])
            yield verb
            yield from verbs(*verb)


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    return {" ".join(verb): set(OPTION.findall(help_of(*verb))) for verb in verbs()}


def test_the_page_of_the_command_line_knows_every_verb_and_option(options: dict[str, set[str]]) -> None:
    page = (PROJECT / "docs" / "cli.md").read_text()
    sections = {part.split("\n", 1)[0].strip(): part for part in page.split("\n## ")[1:]}
    assert {verb: set(OPTION.findall(text)) for verb, text in sections.items()} == options, "write it anew: script/docs"


def commands(page: Path) -> list[list[str]]:
    """Every `hubtool …` that PAGE shows in a code block or between backticks."""
    text = page.read_text()
    blocks = re.findall(r"^```(?:bash|console|sh|yaml)\n(.*?)^```", text, re.S | re.M)
    lines = [line.strip().removeprefix("$ ").removeprefix("- run: ") for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(hubtool [^`\n]+)`", text)
    return [shlex.split(line, comments=True) for line in lines if re.match(r"hubtool [a-z]", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path, options: dict[str, set[str]]) -> None:
    for words in commands_without_program(page):
        verb = " ".join(words[:2]) if " ".join(words[:2]) in options else words[0]
        assert verb in options, f"{page.name}: hubtool {verb}"
        used = {word.split("=")[0] for word in words if OPTION.fullmatch(word.split("=")[0])}
        assert used <= options[verb] | {"--help"}, f"{page.name}: hubtool {verb}"


def commands_without_program(page: Path) -> list[list[str]]:
    return [command[1:] for command in commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert gone == []


def test_the_readme_names_both_scripts_and_they_are_there() -> None:
    text = (PROJECT / "README.md").read_text()
    for script in ("script/demo", "script/test"):
        assert script in text
        assert (PROJECT / script).stat().st_mode & 0o111
