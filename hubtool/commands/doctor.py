"""hubtool doctor: may the whole line run here? Engine, disk, registry, forge."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from hubtool import config, console
from hubtool.builders import check_builder
from hubtool.engines import choose_engine
from hubtool.errors import HubtoolError
from hubtool.process import need_git

DISK_GB = 15  # an image of 4 GB stands in the build cache, in the engine and, packed, in a temporary folder


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``mend`` is the command or step that mends it, "" where it is well."""

    check: str
    ok: bool
    found: str
    mend: str = ""


def doctor(*, root: Path, engine: str | None, as_json: bool) -> None:
    """Print what works and what does not; raises HubtoolError where something does not.

    Without a hubtool.yaml at ROOT, only what does not depend on it is looked at.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("git", lambda: str(need_git())),
        ("engine", lambda: choose_engine(engine).check()),
        ("containers", lambda: _containers(engine)),
        ("disk", lambda: _disk(root)),
    ]
    if (root / config.FILE_NAME).exists():
        checks.append(("hubtool.yaml", lambda: f"{len(config.load(root).images)} image(s)"))
        checks += _of_config(root)
    findings = [_look(name, check) for name, check in checks]
    _report(findings, as_json)
    bad = [finding.check for finding in findings if not finding.ok]
    if bad:
        raise HubtoolError(f"not ready: {', '.join(bad)}")


def _look(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except HubtoolError as error:
        place = f"{error.where}: " if error.where else ""
        return Finding(name, False, place + error.message, error.hint or "")


def _containers(engine: str | None) -> str:
    reason = choose_engine(engine).can_run()
    if reason:
        raise HubtoolError(f"containers cannot be started: {reason}", hint="images can be built here, but not tested")
    return "can be started"


def _disk(root: Path) -> str:
    free = min(shutil.disk_usage(folder).free for folder in (root, Path(tempfile.gettempdir()))) / 1e9
    if free < DISK_GB:
        raise HubtoolError(f"{free:.0f} GB free", hint=f"have {DISK_GB} GB free: docker system prune")
    return f"{free:.0f} GB free"


def _of_config(root: Path) -> list[tuple[str, Callable[[], str]]]:
    try:
        settings = config.load(root)
    except HubtoolError:
        return []
    checks: list[tuple[str, Callable[[], str]]] = []
    for builder in sorted({image.builder for image in settings.images.values()} & {"nix", "debian"}):
        checks.append((builder, partial(check_builder, builder)))
    for image in settings.images:
        checks.append((f"push {image}", partial(_push, settings, image)))
    if settings.deployment is not None:
        checks.append(("pull request", lambda: _forge(settings)))
    return checks


def _push(settings: config.Config, image: str) -> str:
    from hubtool.registries import may_push

    reference = settings.reference(image)
    may_push(reference)
    return f"may push to {reference}"


def _forge(settings: config.Config) -> str:
    from hubtool.forges import open_forge

    assert settings.deployment is not None
    deployment = settings.deployment
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    return f"{deployment.repository}: {forge.may_open()}"


def _report(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        console.result_json([asdict(finding) for finding in findings])
        return
    rows = [(finding.check, "ok" if finding.ok else "FAILED", finding.found) for finding in findings]
    console.result(console.table(rows, ("check", "result", "found")))
    for finding in findings:
        if finding.mend:
            console.result(f"{finding.check}: {finding.mend}")
