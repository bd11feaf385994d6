"""The options that several verbs share, each with its one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE", help="Images of hubtool.yaml, IMAGE or IMAGE[VALUE]; all, where left out.", show_default=False
    ),
]
Root = Annotated[Path, typer.Option("--root", "-C", help="The image repository.", show_default="this folder")]
EngineName = Annotated[
    str | None,
    typer.Option("--engine", help="docker or buildah; the first that works.", envvar="HUBTOOL_ENGINE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Tag to use instead of the commit's.")]
Dirty = Annotated[bool, typer.Option("--dirty", help="Accept uncommitted changes; the tag then ends in -dirty.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show exactly what would change; change nothing.")]
CacheAt = Annotated[
    str | None, typer.Option("--cache", metavar="REFERENCE", help="Registry build cache, instead of hubtool.yaml's.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the registry build cache.")]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild", help="Build the named images again, though built already, from fresh bases and packages."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, also at a terminal: all images.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="How many variants are made at once.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Have the workers of this Dask scheduler do it, tcp://HOST:8786; --jobs is each one's.",
    ),
]
Hubs = Annotated[list[str], typer.Option("--hub", help="Hub whose pins move.", envvar="HUB")]
PinnedImage = Annotated[
    str | None,
    typer.Option("--image", help="Image of hubtool.yaml, or a repository as pins write it.", envvar="IMAGE"),
]
DeploymentRepository = Annotated[
    str | None,
    typer.Option(
        "--deployment",
        metavar="REPO",
        help="Deployment repository: GitHub owner/name, git URL or path.",
        envvar="HUBTOOL_DEPLOYMENT",
    ),
]
Branch = Annotated[str | None, typer.Option("--branch", help="Branch to open the pull request on.")]
FromTag = Annotated[str | None, typer.Option("--from", metavar="TAG", help="Move only pins at TAG.")]
HERE = Path(".")
