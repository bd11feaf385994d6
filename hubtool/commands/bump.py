"""hubtool bump: open or refresh the pull request that moves a hub to a tag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubtool import console
from hubtool.config import FILE_NAME, Config, Deployment, load
from hubtool.errors import HubtoolError
from hubtool.forges import is_repository
from hubtool.pins.bump import Bump, bump_hubs
from hubtool.plan.records import read_record
from hubtool.reference import ImageReference

__all__ = ["bump", "bump_hubs", "report"]


def bump(
    hub: Sequence[str],
    *,
    image: str | None,
    tag: str | None,
    deployment: str | None,
    branch: str | None,
    from_tag: str | None,
    all_tags: bool,
    root: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bump each of HUB; prints the requests, or with DRY_RUN the diffs and bodies."""
    if from_tag is not None and all_tags:
        raise HubtoolError("--from and --all-tags exclude each other")
    config = load(root) if (root / FILE_NAME).exists() else None
    done = bump_hubs(
        list(dict.fromkeys(hub)),
        [_image(config, root, image, tag)],
        find_deployment(config, root, deployment, branch),
        from_tag=from_tag,
        all_tags=all_tags,
        dry_run=dry_run,
    )
    report(done, dry_run=dry_run, as_json=as_json)


def report(bumps: Sequence[Bump], *, dry_run: bool = False, as_json: bool = False) -> None:
    """Print what became of BUMPS; one is a JSON object, several a list. In GitHub Actions also step outputs
    (pull_request_url and pull_request_number, one a line) and a summary."""
    for one in bumps:
        for pin in one.choice.left:
            console.warn(f"left as it is: {pin.file}:{pin.line}: {pin.path}: {pin.why or f'stands at {pin.tag}'}")
        if not as_json:
            console.result(_dry(one) if dry_run and one.changes else _done(one))
    if as_json:
        items = [one.as_json() for one in bumps]
        console.result_json(items[0] if len(items) == 1 else items)
    _tell_actions(bumps)


def _done(one: Bump) -> str:
    target = f"{one.choice.image}:{one.new.tag}"
    if not one.changes:
        return f"{one.hub}: nothing to do, it is at {target}"
    assert one.request is not None
    number = len([pin for change in one.changes for pin in change.pins])
    files = ", ".join(change.file for change in one.changes)
    if one.request.state == "unchanged":
        return f"{one.hub}: nothing to do, {one.request.url} moves it to {target}"
    tags = f"{number} tag" + ("" if number == 1 else "s")
    return f"{one.hub}: {one.request.state} {one.request.url}\n  {tags} to {target} in {files}\n{one.diff().rstrip()}"


def _dry(one: Bump) -> str:
    return f"{one.diff()}\nwould push {one.branch} and open:\n\n{one.title}\n\n{one.body}"


def _tell_actions(bumps: Sequence[Bump]) -> None:
    requests = [one.request for one in bumps if one.request]
    console.github_output(
        {
            "pull_request_url": "\n".join(request.url for request in requests),
            "pull_request_number": "\n".join(str(request.number) for request in requests),
        }
    )
    for one in bumps:
        if one.changes:
            where = f"[#{one.request.number}]({one.request.url}) {one.request.state}" if one.request else "dry run"
            console.github_summary(f"### Bump of hub {one.hub}: {where}\n\n{one.body}")
        else:
            console.github_summary(f"### Bump of hub {one.hub}\n\nNothing to do: it is at `{one.new.tag}`.")


# ---- arguments


def _image(config: Config | None, root: Path, image: str | None, tag: str | None) -> ImageReference:
    """The image with the tag to move to: as given, else hubtool.yaml's, at its last push."""
    given = ImageReference.parse(image) if image and not (config and image in config.images) else None
    if given and (given.tag or given.digest):
        raise HubtoolError(f"--image {image}: the tag goes into --tag, the digest is looked up")
    name = _name(config, image, given)
    reference = config.reference(name) if config and name else given
    if reference is None:
        raise HubtoolError("no image given, and no hubtool.yaml that names one", hint="name it with --image")
    if tag is None:
        tag = _last_push(root, name, reference)
    return reference.with_tag(tag)


def _name(config: Config | None, image: str | None, given: ImageReference | None) -> str | None:
    """Which image of hubtool.yaml is meant, None where it is another; $IMAGE may leave out the registry host."""
    if config is None:
        return None
    if image is None:
        if len(config.images) > 1:
            raise HubtoolError("hubtool.yaml makes several images", hint="--image " + "|".join(config.images))
        return next(iter(config.images))
    if given is None:
        return image
    references = {name: config.reference(name) for name in config.images}
    exact = [name for name, reference in references.items() if reference.same_repository(given)]
    hostless = [name for name, reference in references.items() if reference.repository == given.repository]
    return next(iter(exact or (hostless if not given.registry else [])), None)


def _last_push(root: Path, name: str | None, reference: ImageReference) -> str:
    record = read_record(root, name) if name else None
    if record is None or record.digest is None:
        raise HubtoolError(
            f"no tag given, and no push of {reference.name} is recorded here",
            hint="name it with --tag, or hubtool push",
        )
    return ImageReference.parse(record.reference).tag


def find_deployment(config: Config | None, root: Path, repository: str | None, branch: str | None) -> Deployment:
    """The deployment repository: as given, else hubtool.yaml's, whose relative path starts at ROOT."""
    found = config.deployment if config else None
    if repository is not None:
        found = (found or Deployment(repository=repository)).model_copy(update={"repository": repository})
    elif found is not None and (found.repository.startswith(("./", "../")) or is_repository(root / found.repository)):
        found = found.model_copy(update={"repository": str(root / found.repository)})
    if found is None:
        raise HubtoolError(
            "no deployment repository given",
            hint="name it with --deployment, or in hubtool.yaml: deployment: {repository: OWNER/NAME}",
        )
    return found.model_copy(update={"branch": branch}) if branch else found
