"""What tools in a started IDE know of a value that was injected: asked of the tools, with the IDE's own variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from hubtool.contracts.onyxia.service import Service

# What each tool says of its settings; None where the image does not have it.
Knows = Mapping[str, str | None]
PIP = "for pip in pip pip3; do command -v $pip >/dev/null && exec $pip config list; done; python3 -m pip config list"
UV = """command -v uv >/dev/null || exit 127
cat ~/.config/uv/uv.toml /etc/uv/uv.toml 2>/dev/null
bash -ic 'echo "$UV_DEFAULT_INDEX" "$UV_INDEX_URL"' </dev/null 2>/dev/null
true"""


def of_tools(variable: str, value: str, sign: str, knows: Knows) -> str:
    """Which tools know VALUE, for a note. SIGN is a part of it that nothing else holds: where a tool has another value
    with it, or only some of the tools have it, VARIABLE is broken; where none has, it is ignored."""
    there = {tool: text for tool, text in knows.items() if text is not None}
    if not there:
        pytest.skip(f"ignored: {variable}: there is no {' or '.join(knows)} in the image")
    told = {tool: text for tool, text in there.items() if sign in text}
    if not told:
        pytest.skip(f"ignored: {variable} is not known to {', '.join(there)}")
    whole = re.compile(rf"(?<![\w./-]){re.escape(value)}(?![\w/-])")
    wrong = [f"{tool} has another value: {_line(text, sign)}" for tool, text in told.items() if not whole.search(text)]
    wrong += [f"{tool} does not know it, {', '.join(told)} does" for tool in there if tool not in told]
    assert not wrong, f"{variable}: {'; '.join(wrong)}"
    return f"known to {', '.join(told)}"


def _line(text: str, sign: str) -> str:
    return next(line.strip() for line in text.splitlines() if sign in line)[:200]


def pip_knows(service: Service, key: str = "index-url", *variables: str) -> str | None:
    """The values that pip has for KEY and in VARIABLES; None where there is no pip."""
    told = service.run("sh", "-c", PIP)
    if told.returncode != 0:
        return None
    have = service.process.environment
    lines = [line for line in told.stdout.splitlines() if re.search(rf"\.{key}=", line)]
    return "\n".join([*lines, *(have.get(name, "") for name in variables)])


def uv_knows(service: Service) -> str | None:
    """The indexes that uv has, in a terminal too; None where there is no uv."""
    told = service.run("sh", "-c", UV)
    return None if told.returncode == 127 else told.stdout


def requests_knows(service: Service) -> str | None:
    """The bundle of authorities that Python's requests takes; None where there is no Python."""
    if service.run("sh", "-c", "command -v python3 || command -v python").returncode != 0:
        return None
    return service.process.environment.get("REQUESTS_CA_BUNDLE", "")


def git_knows(service: Service, key: str, variable: str = "") -> str:
    """The values that git has for KEY, and that of VARIABLE, which git takes before it."""
    told = service.run("git", "config", "--get-all", key).stdout
    return f"{told}{service.process.environment.get(variable, '')}\n"
