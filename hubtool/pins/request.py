"""What a bump's commit and pull request say. Text in, text out."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubtool.forges.markdown import bounded, code, link, table
from hubtool.pins import Pin, Skipped
from hubtool.pins.choose import Choice
from hubtool.pins.scan import Change
from hubtool.reference import ImageReference

MAX_ROWS = 100
TRAILER, TREE = "Hubtool-Bump", "Hubtool-Tree"
SOURCE, REVISION = "org.opencontainers.image.source", "org.opencontainers.image.revision"

_SHA = re.compile(r"[0-9a-f]{7,64}\Z")


@dataclass(frozen=True)
class Origin:
    """Where an image came from, by its own labels: a repository's web address, a commit, and the pull request
    that brought it. Text from outside: not to be trusted, "" where unknown."""

    source: str = ""
    revision: str = ""
    request: int | None = None

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Origin:
        return cls(labels.get(SOURCE, "").removesuffix(".git").rstrip("/"), labels.get(REVISION, ""))


@dataclass(frozen=True)
class Facts:
    """All that a bump's texts are made of. ``new`` has tag and digest."""

    hub: str
    deployment: str
    new: ImageReference
    choice: Choice
    changes: Sequence[Change]
    skipped: Sequence[Skipped] = ()
    platforms: Sequence[str] = ()
    was: Origin = Origin()
    now: Origin = Origin()


def branch_name(hub: str, image: ImageReference, base: str, default_base: str) -> str:
    """The stable branch of HUB's bump of IMAGE; it names BASE where that is not the repository's default."""
    path = image.repository.replace("/", "-").replace(".lock", "-lock")
    if len(path) > 100:
        path = f"{path[:80]}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    onto = "" if base == default_base else "@" + re.sub(r"[^A-Za-z0-9_-]+", "-", base)
    return f"hubtool/bump/{hub.replace('..', '-').removesuffix('.lock').rstrip('.')}/{path}{onto}"


def mark(hub: str, image: ImageReference) -> str:
    """The trailer by which hubtool knows a branch of its own again."""
    return f"{TRAILER}: {hub} {image.normalized().name}"


def title(facts: Facts) -> str:
    name = facts.new.repository.rsplit("/", 1)[-1]
    return f"{facts.hub}: {name} {_old(facts.choice)} → {facts.new.tag}"[:200]


def commit_message(facts: Facts) -> str:
    """Subject and pins; trailers() follow."""
    pins = [pin for change in facts.changes for pin in change.pins]
    lines = [f"{pin.file}: {pin.path}: {pin.tag} → {facts.new.tag}" for pin in pins[:MAX_ROWS]]
    return f"{title(facts)}\n\n{facts.new.name}\n\n" + "\n".join(lines) + "\n\n"


def trailers(hub: str, image: ImageReference, tree: str) -> str:
    """Whose branch a commit is of, and the tree that hubtool left it at."""
    return f"{mark(hub, image)}\n{TREE}: {tree}\n"


def body(facts: Facts) -> str:
    """The pull request's body: what moves from where to where, where the image came from, and the way back."""
    pins = [pin for change in facts.changes for pin in change.pins]
    rows = [
        (code(f"{pin.file}:{pin.line}"), code(pin.path), code(pin.tag) or "(none)", code(facts.new.tag)) for pin in pins
    ]
    parts = [
        f"Moves hub {code(facts.hub)} to {code(f'{facts.new.name}:{facts.new.tag}')}. "
        f"{_count(len(pins), 'tag')} in {_count(len(facts.changes), 'file')}; nothing else changes.",
        table(("file", "pin", "old", "new"), rows, MAX_ROWS),
        "\n".join(f"- {line}" for line in _provenance(facts)),
        _left(facts),
        f"To go back after the merge:\n\n```sh\n{rollback(facts)}\n```",
    ]
    return bounded("\n\n".join(part for part in parts if part) + "\n")


def rollback(facts: Facts) -> str:
    """The one command that brings the old tag back."""
    old = facts.choice.old_tags
    if len(old) != 1 or not old[0]:
        return "git revert -m 1 MERGE_COMMIT"
    words = ["hubtool", "bump", "--hub", facts.hub, "--image", facts.new.name, "--from", facts.new.tag]
    return shlex.join([*words, "--tag", old[0], "--deployment", facts.deployment])


def is_untouched(message: str, tree: str, parents: int, expected: str) -> bool:
    """Whether a branch's last commit is hubtool's own of the bump EXPECTED (a mark), as hubtool left it."""
    lines = message.splitlines()
    return expected in lines and f"{TREE}: {tree}" in lines and parents == 1


def _provenance(facts: Facts) -> list[str]:
    lines = [f"digest: {code(facts.new.digest or '')}"] if facts.new.digest else []
    if facts.platforms:
        lines.append("platforms: " + ", ".join(code(platform) for platform in facts.platforms[:10]))
    now, was = facts.now, facts.was
    if now.revision:
        lines.append(f"source commit: {_commit(now)}" + (f" ({_request(now)})" if now.request else ""))
    if was.revision and was.revision != now.revision:
        lines.append(f"source commit before: {_commit(was)}")
        if was.source == now.source and _SHA.match(was.revision) and _SHA.match(now.revision):
            both = f"{was.revision[:12]}...{now.revision[:12]}"
            lines.append(f"changes between: {link(both, f'{now.source}/compare/{both}')}")
    return lines


def _commit(origin: Origin) -> str:
    if _SHA.match(origin.revision):
        return link(origin.revision[:12], f"{origin.source}/commit/{origin.revision}")
    return code(origin.revision[:80])


def _request(origin: Origin) -> str:
    return "pull request " + link(f"#{origin.request}", f"{origin.source}/pull/{origin.request}")


def _left(facts: Facts) -> str:
    """Pins of the image that stay as they are, and files that could not be read but speak of it."""
    name = facts.new.name.rsplit("/", 1)[-1]
    rows = [(code(f"{pin.file}:{pin.line}"), code(pin.path), _why_left(pin)) for pin in facts.choice.left]
    rows += [(code(skipped.file), "", code(f"file {skipped.why}")) for skipped in facts.skipped]
    if not rows:
        return ""
    return f"Left as they are, and to be looked at by you ({code(name)}):\n\n" + table(
        ("file", "pin", "why"), rows, MAX_ROWS
    )


def _why_left(pin: Pin) -> str:
    return code(pin.why or f"stands at {pin.tag}")


def _old(choice: Choice) -> str:
    tags = choice.old_tags
    return (tags[0] or "(none)") if len(tags) == 1 else f"{len(tags)} tags"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
