"""Passwords that a container tells in its log."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hubtool.contracts import Settings
from hubtool.contracts.workstation import rfb
from hubtool.contracts.workstation.relay import Relay, RelayError
from hubtool.contracts.workstation.starts import Workstation

MOST = 12
ABOUT = re.compile(r"passw|passphrase|secret|credential", re.IGNORECASE)
WORD = re.compile(r"[^\s'\"<>()\[\]]{6,64}")
PLAIN = re.compile(r"[A-Z]?[a-z]+[.,:;!]?|[A-Z_]+[=:]?|/\S*|\d+")


def candidates(log: str) -> list[str]:
    """The words of LOG that may be a password: on a line that is about one, and no plain words or paths."""
    lines = [line for line in log.splitlines() if ABOUT.search(line)]
    words = [part for line in lines for word in WORD.findall(line) for part in (word, word.partition("=")[2])]
    return list(dict.fromkeys(word for word in words if len(word) >= 6 and not PLAIN.fullmatch(word)))[:MOST]


def opens_vnc(container: Workstation, settings: Settings, words: Sequence[str]) -> bool:
    """Whether one of WORDS is the VNC password."""
    try:
        for word in words:
            with Relay(container.container, settings.parameters.vnc_port) as relay:
                greeting = rfb.greet(relay)
                if rfb.PASSWORD in greeting.types and rfb.log_in(relay, greeting, word):
                    return True
    except RelayError:
        return False  # R10 says why
    return False
