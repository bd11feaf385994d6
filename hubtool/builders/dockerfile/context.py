"""The context of a repository's own Dockerfile: the folder itself, and what a site adds."""

from __future__ import annotations

from pathlib import Path

from hubtool.builders import site
from hubtool.builders.context import Context, read_ignore_files


def context_of(folder: Path, dockerfile: str, *, for_site: bool) -> Context:
    """What of FOLDER travels to the engine to build DOCKERFILE there, or FOR_SITE the one that site_files brings."""
    context = Context(dockerfile=site.CONTEXT_DOCKERFILE if for_site else dockerfile)
    named = folder / f"{dockerfile}.dockerignore"  # BuildKit's own order
    context.add_repository(folder, "", read_ignore_files([named if named.exists() else folder / ".dockerignore"]))
    if not for_site and not any(entry.name == dockerfile for entry in context.entries):
        context.add(dockerfile, folder / dockerfile)
    return context


def site_files(files: site.SiteFiles, text: str) -> dict[str, bytes]:
    """Further files of the context, by name, and the Dockerfile TEXT among them; none where there is no site."""
    if not files:
        return {}
    found = {f"{site.CONTEXT_FOLDER}/{name}": data for name, data in files.files().items()}
    # The Dockerfile may copy its whole context, these files included.
    found[f"{site.CONTEXT_FOLDER}/leave.sh"] += site.REMOVE_CONTEXT_COPY.encode()
    return {**found, site.CONTEXT_DOCKERFILE: text.encode()}
