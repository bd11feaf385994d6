"""Contracts: what a platform needs an image to keep, each a pytest module, one test a promise.

A promise's test is named ``test_ID_what_is_promised``. The first line of its docstring is the promise; the text
after it says what breaks for whom; a paragraph that starts with ``To mend:`` says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import TypeAdapter

from hubtool.config import PROFILES, KnownIssue, Parameters
from hubtool.errors import HubtoolError


@dataclass(frozen=True)
class Contract:
    """A platform's contract: the modules of its checks, in the order that they run, and the module of the fixtures that
    these and a repository's own checks get (``container`` among them)."""

    modules: Sequence[str]
    fixtures: str


def _contract(name: str, *modules: str) -> Contract:
    room = f"hubtool.contracts.{name}"
    return Contract(tuple(f"{room}.{module}" for module in modules or ("static", "running")), f"{room}.fixtures")


CONTRACTS: Mapping[str, Contract] = {
    **{name: _contract(name) for name in ("jupyterhub", "coder")},
    "onyxia": _contract("onyxia", "running", "variables", "static"),
    "workstation": _contract("workstation", "running", "desktop", "static"),
}
NO_CONTRACT = "none"
NO_ENGINE = "none"
OWN_TESTS = "tests"  # the group of a repository's own checks

# How a contract's pytest is told its settings, and the code that it ends with where the engine stopped.
SETTINGS_VARIABLE = "HUBTOOL_CONTRACT"
ENGINE_GONE = 70

# "known": it failed, and hubtool.yaml's known_issues allows that for a while.
Outcome = Literal["passed", "failed", "known", "skipped"]


@dataclass(frozen=True)
class Settings:
    """What a contract is told about an image; all of it comes from hubtool.yaml or the engine, never from code.

    ``image`` is the engine's id of it, ``name`` what people call it, ``reference`` its tag in full, "" where it has
    none. ``archive`` is the file or folder that holds it where no engine does; ``engine`` is NO_ENGINE then.
    ``start_seconds`` is how long the server may take. ``profile`` is one of hubtool.config.PROFILES, "" for a contract
    that has none. ``context`` is the folder of the image's files, ``image_tests`` the repository's image-tests folder,
    ``own_tests`` the folder of its own checks, ``log_folder`` where the logs of a container go that failed a check.
    ``pip_index`` and ``ca_bundle`` are the site's, for image-tests/requirements.txt.
    """

    engine: str
    image: str
    name: str
    contract: str
    log_folder: str
    reference: str = ""
    profile: str = ""
    parameters: Parameters = field(default_factory=Parameters)
    known_issues: tuple[KnownIssue, ...] = ()
    uid: int = 1000
    user: str = "jovyan"
    repo_dir: str = ""
    start_seconds: int = 120
    context: str | None = None
    image_tests: str | None = None
    own_tests: str | None = None
    archive: str | None = None
    pip_index: str | None = None
    ca_bundle: str | None = None

    def dumps(self) -> str:
        return _SETTINGS.dump_json(self).decode()

    @classmethod
    def loads(cls, text: str) -> Settings:
        return _SETTINGS.validate_json(text)


_SETTINGS = TypeAdapter(Settings)


@dataclass(frozen=True)
class Result:
    """What one check found. ``group`` is the contract's name, image-tests or OWN_TESTS; ``check`` the id (J1) or the
    test's own name; ``message`` what was found, also where it passed; ``mend`` what to do about it."""

    group: str
    check: str
    promise: str
    outcome: Outcome
    seconds: float
    message: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Promise:
    """A check as ``hubtool test --list`` shows it. ``profiles`` are the contract's profiles that it is for, () for
    all of them."""

    contract: str
    check: str
    promise: str
    breaks: str
    mend: str
    profiles: Sequence[str] = ()


@dataclass(frozen=True)
class TestReport:
    """All results for one image. ``image_id`` is the engine's id of what was tested, or for a file its config's digest;
    ``notes`` are what else is to be said, ``logs`` the folder of what containers said."""

    __test__ = False  # not a test class, whatever its name

    name: str
    reference: str
    image_id: str
    contract: str
    results: Sequence[Result]
    seconds: float
    notes: Sequence[str] = ()
    logs: str = ""

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def not_run(self) -> bool:
        """Whether the checks that need a started container could not run at all."""
        return any(result.message.startswith(CANNOT_START) for result in self.results if result.outcome == "skipped")

    @property
    def passed(self) -> bool:
        """Whether the image may be published: nothing failed, and the running checks could run."""
        return not self.failed and not self.not_run

    @property
    def summary(self) -> str:
        """One line: how many passed, failed, were skipped."""
        counts = [f"{self.count(outcome)} {outcome}" for outcome in get_args(Outcome)]
        return ", ".join(text for text in counts if not text.startswith("0 ")) or "no checks"


# How the reason of a check starts that was skipped since no container can be started here.
CANNOT_START = "no container can be started here"


def result_mark(run: str) -> str:
    """How the results of the run RUN start on standard output; nothing that an image prints can start so."""
    return f"\x1ehubtool-result {run} "


def by_id(check: str) -> tuple[str, int]:
    """Sorts ids of checks as people do: J2 before J10."""
    letters = check.rstrip("0123456789")
    return letters, int(check[len(letters) :] or 0)


def in_order(results: Sequence[Result], contract: str) -> list[Result]:
    """RESULTS as people read them: those of CONTRACT by their ids, then the others as they came."""
    return sorted(results, key=lambda result: by_id(result.check) if result.group == contract else ("~", 0))


def check_contract(name: str) -> None:
    """Raise HubtoolError where there is no contract called NAME."""
    if name not in CONTRACTS and name != NO_CONTRACT:
        known = ", ".join([*CONTRACTS, NO_CONTRACT])
        raise HubtoolError(f"no contract called '{name}'", hint=f"contracts: {known}")


def check_profile(contract: str, profile: str) -> None:
    """Raise HubtoolError where CONTRACT has no profile called PROFILE."""
    known = PROFILES.get(contract, ())
    if profile not in known:
        hint = f"its profiles: {', '.join(known)}" if known else "it has no profiles"
        raise HubtoolError(f"the contract {contract} has no profile '{profile}'", hint=hint)


def default_profile(contract: str) -> str:
    """The profile of CONTRACT that holds where none is asked for; "" where it has none."""
    return next(iter(PROFILES.get(contract, ())), "")


def container_logs(folder: Path, name: str, what: str = "container") -> Path:
    """The file below FOLDER that keeps what the container of image NAME said."""
    safe = "".join(char if char.isalnum() or char in "._-" else "-" for char in name)
    return folder / f"{safe.strip('.') or 'image'}-{what}.log"
