"""What an init script says of itself, read and not run."""

from __future__ import annotations

import re
from collections.abc import Iterator

TOOLS = ("awk", "curl", "git", "jq", "sed", "sha256sum", "sudo", "wget")
VARIABLES = ("USERNAME", "GROUPNAME", "WORKSPACE_DIR")
_CLOSERS = ("fi", "esac", "done", "}", ";;")
_EXEC = re.compile(r"""(?:^|[;&|]\s*|\s)exec\s(?:.*\s)?"?\$(?:@|\{@\})"?\s*(?:;\s*)?(?:\}|fi|;;)?$""")
_FUNCTION = re.compile(r"""^(\w[\w-]*)\s+"\$(?:@|\{@\})"$""")
_ASKS_FIRST = re.compile(r"\b(?:command -v|type|which|hash)\b")


def _commands(script: str) -> Iterator[str]:
    """The lines of SCRIPT that are no comments, without blanks around them; continued lines are one."""
    for line in script.replace("\\\n", " ").splitlines():
        command = re.sub(r"(?:^|\s)#.*$", "", line).strip()
        if command:
            yield command


def ends_in_exec(script: str) -> bool:
    """Whether the last command of SCRIPT, or of the function that it ends with, is exec "$@"."""
    commands = [line for line in _commands(script) if line not in _CLOSERS]
    if not commands:
        return False
    if _EXEC.search(commands[-1]):
        return True
    return _FUNCTION.match(commands[-1]) is not None and any(map(_EXEC.search, commands))


def tools_called(script: str) -> set[str]:
    """Those of TOOLS that SCRIPT names, but for those that it looks for first."""
    lines = list(_commands(script))
    asked = " ".join(line for line in lines if _ASKS_FIRST.search(line))
    named = {tool for tool in TOOLS for line in lines if re.search(rf"(?<![\w./-]){tool}(?![\w./-])", line)}
    return {tool for tool in named if not re.search(rf"\b{tool}\b", asked)}


def variables_needed(script: str) -> list[str]:
    """Those of VARIABLES that SCRIPT reads with no default, and does not set."""
    text = "\n".join(_commands(script))
    read = [name for name in VARIABLES if re.search(rf"\$(?:{name}\b|\{{{name}(?![\w:+?=-]))", text)]
    return [name for name in read if not re.search(rf"^(?:export |local |readonly )?{name}=", text, re.M)]
