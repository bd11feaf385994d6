"""hubtool rollback: the pull request that brings a hub back to the tag before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubtool.commands.bump import find_deployment, find_image, kin_of, read_config, report
from hubtool.pins.proposals.rollback import roll_back


def rollback(
    hubs: Sequence[str],
    *,
    image: str | None,
    deployment: str | None,
    branch: str | None,
    from_tag: str | None,
    root: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Roll back each of HUBS; prints as bump does."""
    config = read_config(root)
    done = roll_back(
        list(dict.fromkeys(hubs)),
        find_image(config, image),
        find_deployment(config, root, deployment, branch),
        from_tag=from_tag,
        kin=kin_of(config, root),
        dry_run=dry_run,
    )
    report(done, dry_run=dry_run, as_json=as_json)
