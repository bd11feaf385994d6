"""The verbs that look and change nothing: options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hubtool.options import HERE, AsJson, EngineName, Root

app = typer.Typer()


@app.command()
def inspect(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCE",
            help="A release or an engine's image; with hubtool.yaml also IMAGE, IMAGE:TAG, or TAG where it makes one.",
        ),
    ],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page that draws where the space goes.")
    ] = None,
    pull: Annotated[
        bool, typer.Option("--pull", help="Read the release's layers, for images that carry no list of packages.")
    ] = False,
    root: Root = HERE,
    engine: EngineName = None,
    as_json: AsJson = False,
) -> None:
    """List what is installed in an image and what takes the space."""
    from hubtool.commands.inspect import inspect as command

    command(reference, root=root, engine=engine, pull=pull, html=html, as_json=as_json)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A release, named as for inspect.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The release to compare with it.")],
    root: Root = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare two releases: packages, sizes, and what a node that has OLD pulls for NEW."""
    from hubtool.commands.diff import diff as command

    command(old, new, root=root, as_json=as_json)


@app.command()
def doctor(root: Root = HERE, engine: EngineName = None, as_json: AsJson = False) -> None:
    """Check engine, registry (may I push?), forge (may I open a pull request?) and disk."""
    from hubtool.commands.doctor import doctor as command

    command(root=root, engine=engine, as_json=as_json)
