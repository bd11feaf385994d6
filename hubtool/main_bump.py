"""The verbs that open pull requests in a deployment repository: options and help."""

from __future__ import annotations

from typing import Annotated

import typer

from hubtool.options import HERE, AsJson, Branch, DeploymentRepository, DryRun, FromTag, Hubs, PinnedImage, Root

app = typer.Typer()


@app.command()
def bump(
    hub: Annotated[
        list[str] | None, typer.Option("--hub", help="Hub whose pins move.", envvar="HUB", show_default=False)
    ] = None,
    ring: Annotated[
        list[str] | None,
        typer.Option("--ring", help="Hubs of a ring that hubtool.yaml names.", show_default=False),
    ] = None,
    group: Annotated[bool, typer.Option("--group", help="One pull request for all of the hubs.")] = False,
    image: PinnedImage = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Tag to move to; the last push's.")] = None,
    deployment: DeploymentRepository = None,
    branch: Branch = None,
    from_tag: FromTag = None,
    all_tags: Annotated[bool, typer.Option("--all-tags", help="Move the pins at every tag.")] = False,
    pin_digest: Annotated[bool, typer.Option("--pin-digest", help="Pin tag@digest.")] = False,
    root: Root = HERE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Open or refresh the pull request that moves a hub to a tag."""
    if not hub and not ring:
        raise typer.BadParameter("name at least one hub or ring", param_hint="'--hub'")
    from hubtool.commands.bump import bump as command

    command(
        hub or [],
        rings=ring or [],
        group=group,
        image=image,
        tag=tag,
        deployment=deployment,
        branch=branch,
        from_tag=from_tag,
        all_tags=all_tags,
        pin_digest=pin_digest,
        root=root,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def rollback(
    hub: Hubs,
    image: PinnedImage = None,
    deployment: DeploymentRepository = None,
    branch: Branch = None,
    from_tag: FromTag = None,
    root: Root = HERE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Open or refresh the pull request that moves a hub back to the tag that was live before."""
    from hubtool.commands.rollback import rollback as command

    command(
        hub,
        image=image,
        deployment=deployment,
        branch=branch,
        from_tag=from_tag,
        root=root,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def promote(
    hub: Hubs,
    from_hub: Annotated[
        str | None, typer.Option("--from-hub", metavar="HUB", help="Hub to promote from, on the same branch.")
    ] = None,
    image: PinnedImage = None,
    deployment: DeploymentRepository = None,
    branch: Annotated[str | None, typer.Option("--branch", help="Branch to promote from.")] = None,
    from_tag: FromTag = None,
    root: Root = HERE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Open or refresh the pull request that brings what is live on staging to prod."""
    from hubtool.commands.promote import promote as command

    command(
        hub,
        image=image,
        deployment=deployment,
        branch=branch,
        from_hub=from_hub,
        from_tag=from_tag,
        root=root,
        dry_run=dry_run,
        as_json=as_json,
    )
