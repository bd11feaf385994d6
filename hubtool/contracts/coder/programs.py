"""The programs that the checks put into a container, made for its machine."""

from __future__ import annotations

from collections.abc import Sequence

from hubtool.contracts.coder.elf import Ask, Buffer, Call, Go, Label, Peek, Save, Step, Word, program
from hubtool.contracts.coder.machine import MACHINES

AGENT = "hubtool-agent:"
WAITING = f"{AGENT} waiting"
HOME_EMPTY, HOME_FULL, HOME_SHUT = (f"{AGENT} its home {what}" for what in ("is empty", "has files", "can't be read"))
WRITABLE, NOT_WRITABLE = (f"{AGENT} its home is {what}" for what in ("writable", "not writable"))
NOBODY, NOWHERE, NO_LOCALE = "no user has this uid", "localhost has no address", "no such locale"

HERE = -100  # AT_FDCWD
EMPTY_FOLDER = 48  # bytes that getdents64 gives for . and .. alone
CREATE_NEW = 0o301  # O_WRONLY | O_CREAT | O_EXCL
ALL_CATEGORIES = 6  # LC_ALL
NEVER = -(1 << 40)  # no call gives this


def agent(architecture: str, home: str) -> bytes:
    """A static program in the place of Coder's agent. With --version it says that it is Coder's; else it says its
    status (proc(5)), whether the folder HOME is empty and can be written to, then waits for ever."""
    probe = home.encode() + b"/.hubtool-probe"
    steps: list[Step] = [
        *_where_first_argument_starts(b"--versio", "version"),
        *_say(f"{AGENT} started"),
        *_show(b"/proc/self/status"),
        Ask("openat", (HERE, home.encode(), 0, 0)),
        Save("home"),
        Ask("getdents64", (Word("home"), Buffer(), 4096)),
        Go("shut", "less", 0),
        *_tell(EMPTY_FOLDER + 1, HOME_EMPTY, HOME_FULL, "empty"),
        Go("try", "unequal", NEVER),
        Label("shut"),
        *_say(HOME_SHUT),
        Label("try"),
        Ask("openat", (HERE, probe, CREATE_NEW, 0o600)),
        *_tell(0, NOT_WRITABLE, WRITABLE, "written"),
        Ask("unlinkat", (HERE, probe, 0)),
        *_say(WAITING),
        Label("wait"),
        Ask("ppoll", (0, 0, 0, 0)),
        Go("wait", "unequal", NEVER),
        Label("version"),
        *_say("Coder, as hubtool's contract serves it"),
        Ask("exit_group", (0,)),
    ]
    return program(MACHINES[architecture], steps)


def glibc_program(architecture: str) -> bytes:
    """A program that glibc's loader starts at the usual path, as VS Code's server, code-server and uv's Pythons are;
    it prints glibc's version."""
    steps: list[Step] = [
        Call("gnu_get_libc_version"),
        Save("version"),
        Call("puts", (Word("version"),)),
        Call("exit", (0,)),
    ]
    return program(MACHINES[architecture], steps, ("libc.so.6",))


def cxx_program(architecture: str) -> bytes:
    """A program that is linked to libstdc++ too; it ends with code 0."""
    steps: list[Step] = [Call("_Znwm", (64,)), Call("exit", (0,))]
    return program(MACHINES[architecture], steps, ("libstdc++.so.6", "libc.so.6"))


def names_program(architecture: str, uid: int) -> bytes:
    """A program that asks glibc for the user UID and the host localhost; it prints the user's name, or what there
    is none of."""
    steps: list[Step] = [
        Call("getpwuid", (uid,)),
        Go("nobody", "equal", 0),
        Save("account"),
        Peek(Word("account")),
        Save("name"),
        Call("puts", (Word("name"),)),
        Label("host"),
        Call("gethostbyname", (b"localhost",)),
        Go("end", "unequal", 0),
        Call("puts", (NOWHERE.encode(),)),
        Label("end"),
        Call("exit", (0,)),
        Label("nobody"),
        Call("puts", (NOBODY.encode(),)),
        Call("exit", (0,)),
    ]
    return program(MACHINES[architecture], steps, ("libc.so.6",))


def locale_program(architecture: str) -> bytes:
    """A program that asks glibc for the locale of its variables; it says so where there is none."""
    steps: list[Step] = [
        Call("setlocale", (ALL_CATEGORIES, b"")),
        Go("end", "unequal", 0),
        Call("puts", (NO_LOCALE.encode(),)),
        Label("end"),
        Call("exit", (0,)),
    ]
    return program(MACHINES[architecture], steps, ("libc.so.6",))


def _say(text: str) -> list[Step]:
    line = text.encode() + b"\n"
    return [Ask("write", (1, line, len(line)))]


def _tell(limit: int, below: str, other: str, label: str) -> list[Step]:
    """Say BELOW where the result is less than LIMIT, OTHER where it is not."""
    return [
        Go(label, "less", limit),
        *_say(other),
        Go(f"{label}-told", "unequal", NEVER),
        Label(label),
        *_say(below),
        Label(f"{label}-told"),
    ]


def _show(path: bytes) -> list[Step]:
    """Print the start of a file."""
    return [
        Ask("openat", (HERE, path, 0, 0)),
        Save("file"),
        Ask("read", (Word("file"), Buffer(), 4096)),
        Save("size"),
        Ask("write", (1, Buffer(), Word("size"))),
    ]


def _where_first_argument_starts(start: bytes, label: str) -> Sequence[Step]:
    """Go on at LABEL where the program's first argument starts with START, eight bytes."""
    word = int.from_bytes(start, "little")
    return [Peek(Word("stack"), 16), Save("argument"), Peek(Word("argument")), Go(label, "equal", word)]
