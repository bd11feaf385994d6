"""What a bump's commit and pull request say. Text in, text out."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hubtool.console import counted
from hubtool.forges import SourceCommit
from hubtool.forges.markdown import bounded, code, link, table
from hubtool.pins import Pin, Skipped
from hubtool.pins.choose import Choice
from hubtool.pins.proposals.packages import NOTHING_KNOWN, Comparison, packages_section
from hubtool.pins.scan import Change
from hubtool.reference import ImageReference

RING = "ring="
MAX_ROWS = 100
MAX_HUBS = 50
MAX_COMMITS = 20
TRAILER, TREE = "Hubtool-Bump", "Hubtool-Tree"
SOURCE, REVISION = "org.opencontainers.image.source", "org.opencontainers.image.revision"

_SHA = re.compile(r"[0-9a-f]{7,64}\Z")
_NOTE = re.compile(rf"<!-- {TRAILER}: (\S[^\n>]*) -->")
# GitHub's own subjects: "Merge pull request #12 from …" and, squashed, "… (#12)".
_NUMBER = re.compile(r"(?:\AMerge pull request |\()#([0-9]{1,9})(?: from |\)\Z)")


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
class Group:
    """Hubs that one pull request moves. ``name`` is theirs together: a hub's own, ``ring=RING``, or ``a+b``."""

    name: str
    hubs: tuple[str, ...]

    @classmethod
    def of(cls, hubs: Sequence[str], ring: str | None = None) -> Group:
        unique = tuple(dict.fromkeys(hubs))
        return cls(f"{RING}{ring}" if ring else "+".join(unique), unique)

    def renamed(self, hubs: Sequence[str]) -> Group:
        """The same with the full names of its hubs."""
        return Group(self.name, tuple(hubs)) if self.name.startswith(RING) else Group.of(hubs)


@dataclass(frozen=True)
class Facts:
    """All that a bump's texts are made of. ``new`` has tag and digest; ``touched`` are the hubs that use one of the
    changed files; ``reason`` says in Markdown why, where that is not simply a newer tag. ``further`` has where pins of
    other variants move to, by their old tag."""

    group: Group
    deployment: str
    new: ImageReference
    choice: Choice
    changes: Sequence[Change]
    skipped: Sequence[Skipped] = ()
    platforms: Sequence[str] = ()
    was: Origin = Origin()
    now: Origin = Origin()
    commits: Sequence[SourceCommit] = ()
    touched: Sequence[str] = ()
    tests: str = ""
    reason: str = ""
    further: Mapping[str, ImageReference] = field(default_factory=dict)
    base: str = ""
    comparison: Comparison = NOTHING_KNOWN

    def new_tag(self, pin: Pin) -> str:
        """The tag that PIN moves to."""
        return self.further.get(pin.tag, self.new).tag

    def new_tags(self) -> str:
        """All tags that pins move to."""
        return ", ".join(dict.fromkeys(one.tag for one in (self.new, *self.further.values())))


def branch_name(group: Group, image: ImageReference, base: str, default_base: str, verb: str = "bump") -> str:
    """The stable branch of GROUP's bump (or other VERB) of IMAGE; it names BASE where that is not the repository's
    default."""
    path = _short(image.repository.replace("/", "-").replace(".lock", "-lock"), 100)
    hubs = _short(group.name.replace("/", "@").replace("..", "-").removesuffix(".lock").rstrip("."), 60)
    onto = "" if base == default_base else "@" + re.sub(r"[^A-Za-z0-9_-]+", "-", base)
    return f"hubtool/{verb}/{hubs}/{path}{onto}"


def _short(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    return f"{name[: most - 20].rstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def mark(group: Group, image: ImageReference) -> str:
    """The trailer by which hubtool knows a branch of its own again."""
    return f"{TRAILER}: {group.name} {image.normalized().name}"


def note(group: Group, image: ImageReference) -> str:
    """The same for a pull request's body, where people don't see it."""
    return f"<!-- {TRAILER}: {' '.join(group.hubs)} {image.normalized().name} -->"


def is_superseded(body: str, group: Group, image: ImageReference) -> bool:
    """Whether the request with BODY moves IMAGE in hubs of GROUP alone."""
    found = _NOTE.search(body)
    *hubs, name = found[1].split() if found else [""]
    return bool(hubs) and name == image.normalized().name and set(hubs) <= set(group.hubs)


def title(facts: Facts) -> str:
    name = facts.new.repository.rsplit("/", 1)[-1]
    onto = f" on {facts.base}" if facts.base else ""
    return f"{_hubs(facts.group)}: {name} {_old(facts.choice)} → {facts.new_tags()}{onto}"[:200]


def commit_message(facts: Facts) -> str:
    """Subject and pins; trailers() follow."""
    pins = [pin for change in facts.changes for pin in change.pins]
    lines = [f"{pin.file}: {pin.path}: {pin.tag} → {facts.new_tag(pin)}" for pin in pins[:MAX_ROWS]]
    lines += [f"{change.file}: {change.note}" for change in facts.changes if change.note][:MAX_ROWS]
    return f"{title(facts)}\n\n{facts.new.name}\n\n" + "\n".join(lines) + "\n\n"


def trailers(group: Group, image: ImageReference, tree: str) -> str:
    """Whose branch a commit is of, and the tree that hubtool left it at."""
    return f"{mark(group, image)}\n{TREE}: {tree}\n"


def body(facts: Facts) -> str:
    """The pull request's body: what moves from where to where, whom a merge touches, what came with the image, and
    the way back."""
    parts = [
        facts.reason,
        _summary(facts),
        table(("file", "pin", "old", "new"), _rows(facts), MAX_ROWS),
        "\n".join(f"- {line}" for line in _provenance(facts)),
        packages_section(facts.comparison),
        _commits(facts),
        _left(facts),
        f"To go back after the merge:\n\n```sh\n{rollback(facts)}\n```",
    ]
    end = f"\n\n{note(facts.group, facts.new)}\n"
    return bounded("\n\n".join(part for part in parts if part)).rstrip() + end


def rollback(facts: Facts) -> str:
    """The one command that brings the old tag back."""
    old = facts.choice.old_tags
    if len(old) != 1 or not old[0]:
        return "git revert -m 1 MERGE_COMMIT"
    hubs = [word for hub in facts.group.hubs for word in ("--hub", hub)]
    onto = ["--branch", facts.base] if facts.base else []
    words = ["hubtool", "rollback", *hubs, "--image", facts.new.name, "--deployment", facts.deployment, *onto]
    return shlex.join(words)


def is_untouched(message: str, tree: str, parents: int, expected: str) -> bool:
    """Whether a branch's last commit is hubtool's own of the bump EXPECTED (a mark), as hubtool left it."""
    lines = message.splitlines()
    return expected in lines and f"{TREE}: {tree}" in lines and parents == 1


def _hubs(group: Group) -> str:
    first, more = group.hubs[:3], len(group.hubs) - 3
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _summary(facts: Facts) -> str:
    pins = [pin for change in facts.changes for pin in change.pins]
    hubs = ", ".join(code(hub) for hub in facts.group.hubs[:MAX_HUBS])
    noun = "hub" if len(facts.group.hubs) == 1 else "hubs"
    raised = [change for change in facts.changes if change.note]
    lines = [
        f"Moves {noun} {hubs} to {_targets(facts)}. {counted(len(pins), 'tag')} in "
        f"{counted(len(facts.changes), 'file')}"
        + (f", and the version of {counted(len(raised), 'chart')}" if raised else "")
        + "; nothing else changes."
    ]
    others = [hub for hub in facts.touched if hub not in facts.group.hubs]
    if others:
        named = ", ".join(code(hub) for hub in others[:MAX_HUBS])
        more = f" and {len(others) - MAX_HUBS} more" if len(others) > MAX_HUBS else ""
        lines.append(f"**A merge also touches** {named}{more}: they share files with {hubs}.")
    return "\n\n".join(lines)


def _targets(facts: Facts) -> str:
    everyone = dict.fromkeys((facts.new, *facts.further.values()))
    return ", ".join(code(f"{one.name}:{one.tag}") for one in everyone)


def _rows(facts: Facts) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for change in facts.changes:
        for pin in change.pins:
            rows.append(
                (code(f"{pin.file}:{pin.line}"), code(pin.path), code(pin.tag) or "(none)", code(facts.new_tag(pin)))
            )
        if change.note:
            rows.append((code(change.file), *(code(part) for part in change.note.split(" ") if part != "→")))
    return rows


def _provenance(facts: Facts) -> list[str]:
    everyone = dict.fromkeys((facts.new, *facts.further.values()))
    lines = [f"digest: {code(one.digest)}" for one in everyone if one.digest]
    if facts.tests:
        lines.append(f"tests: {code(facts.tests)}")
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


def _commits(facts: Facts) -> str:
    """What came into the image's repository since the old tag; pull requests as its subjects name them."""
    shown = facts.commits[:MAX_COMMITS]
    if not shown:
        return ""
    lines = []
    for commit in shown:
        number = _NUMBER.search(commit.subject)
        request = f" ({link('#' + number[1], f'{facts.now.source}/pull/{number[1]}')})" if number else ""
        lines.append(f"- {_commit(Origin(facts.now.source, commit.sha))} {code(commit.subject)}{request}")
    if len(facts.commits) > len(shown):
        lines.append(f"- … and {len(facts.commits) - len(shown)} more")
    return f"Commits of the image since {code(_old(facts.choice))}:\n\n" + "\n".join(lines)


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
