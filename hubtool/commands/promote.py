"""hubtool promote: the pull request that brings what is live on staging to prod."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubtool import console
from hubtool.commands.bump import find_deployment, find_image, kin_of, read_config, report
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.merge import Merge, promote_branch
from hubtool.pins.proposals.promote import promote_hubs


def promote(
    hubs: Sequence[str],
    *,
    image: str | None,
    deployment: str | None,
    branch: str | None,
    from_hub: str | None,
    from_tag: str | None,
    root: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Promote each of HUBS; prints as bump does."""
    config = read_config(root)
    where = find_deployment(config, root, deployment, branch)
    unique = list(dict.fromkeys(hubs))
    if where.promote_by == "merge" and from_hub is None:
        if image or from_tag:
            raise HubtoolError(
                "--image and --from choose pins, and deployment.promote_by in hubtool.yaml merges the whole branch"
            )
        _report_merge(promote_branch(unique, where, dry_run=dry_run), as_json=as_json)
        return
    done = promote_hubs(
        unique,
        find_image(config, image),
        where,
        from_hub=from_hub,
        from_tag=from_tag,
        kin=kin_of(config, root),
        dry_run=dry_run,
    )
    if not done:
        raise HubtoolError(f"no image is pinned both where {', '.join(unique)} is promoted from and to")
    report(done, dry_run=dry_run, as_json=as_json)


def _report_merge(merge: Merge, *, as_json: bool) -> None:
    if as_json:
        console.result_json(merge.as_json())
    else:
        console.result(str(merge))
    request = merge.request
    console.github_output(
        {
            "pull_request_url": request.url if request else "",
            "pull_request_number": str(request.number) if request else "",
        }
    )
    console.github_summary(f"### {merge.title}\n\n{merge.waiting or merge.body}")
