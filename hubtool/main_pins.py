"""The verbs of `hubtool pins`: options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hubtool.options import HERE, AsJson, DryRun, FromTag
from hubtool.quick import QuickCommand, QuickGroup

app = typer.Typer(
    cls=QuickGroup, help="List the places that name an image, and move their tags in place.", no_args_is_help=True
)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with the files, often a clone of a deployment repository.")
]
Hub = Annotated[str | None, typer.Option("--hub", help="Only the files of this hub.")]
Described = Annotated[
    Path,
    typer.Option(
        "--root", "-C", help="Folder whose hubtool.yaml says where DIR's hubs are.", show_default="this folder"
    ),
]


@app.command("list", cls=QuickCommand)
def list_(
    directory: Directory = HERE,
    hub: Hub = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Only this image, without tag; on any host where it has none.")
    ] = None,
    root: Described = HERE,
    as_json: AsJson = False,
) -> None:
    """List every place that names an image."""
    from hubtool.commands.pins import list_pins

    list_pins(directory, hub=hub, image=image, root=root, as_json=as_json)


@app.command("set", cls=QuickCommand)
def set_(
    image: Annotated[str, typer.Option("--image", help="Image to move, without tag.")],
    tag: Annotated[str, typer.Option("--tag", metavar="TAG[@DIGEST]", help="Tag to move to.")],
    directory: Directory = HERE,
    hub: Hub = None,
    from_tag: FromTag = None,
    all_tags: Annotated[bool, typer.Option("--all-tags", help="Move the pins at every tag.")] = False,
    pin_digest: Annotated[
        bool, typer.Option("--pin-digest", help="Add the digest of --tag to pins that have none.")
    ] = False,
    root: Described = HERE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Move the pins of an image to a tag: edit files in place, without git."""
    from hubtool.commands.pins import set_pins

    if from_tag is not None and all_tags:
        raise typer.BadParameter("--from and --all-tags exclude each other")
    if pin_digest and "@" not in tag:
        raise typer.BadParameter("--pin-digest needs the digest: --tag TAG@sha256:…")
    set_pins(
        directory,
        image=image,
        tag=tag,
        hub=hub,
        from_tag=from_tag,
        all_tags=all_tags,
        pin_digest=pin_digest,
        root=root,
        dry_run=dry_run,
        as_json=as_json,
    )
