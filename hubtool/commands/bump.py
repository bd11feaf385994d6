"""hubtool bump: open or refresh the pull request that moves a hub to a tag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubtool import console
from hubtool.config import FILE_NAME, Config, Deployment, load
from hubtool.errors import HubtoolError, Where
from hubtool.forges import is_repository
from hubtool.pins.choose import Kin
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump, Rules
from hubtool.pins.proposals.request import Group
from hubtool.plan.kin import find_kin
from hubtool.plan.records import Record, read_record
from hubtool.reference import ImageReference

MAX_FILES = 10


def bump(
    hubs: Sequence[str],
    *,
    rings: Sequence[str] = (),
    group: bool = False,
    image: str | None,
    tag: str | None,
    deployment: str | None,
    branch: str | None,
    from_tag: str | None,
    all_tags: bool,
    pin_digest: bool = False,
    root: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bump each of HUBS and the hubs of RINGS, with GROUP in one request; prints the requests, or with DRY_RUN the
    diffs and bodies."""
    if from_tag is not None and all_tags:
        raise HubtoolError("--from and --all-tags exclude each other")
    config = read_config(root)
    wanted = _image(config, root, image, tag)
    where = find_deployment(config, root, deployment, branch)
    done = bump_hubs(
        _groups(where, hubs, rings, group),
        [wanted],
        where,
        Rules(from_tag, all_tags, pin_digest, tests=tests_of(config, root), kin=kin_of(config, root)),
        dry_run=dry_run,
    )
    report(done, dry_run=dry_run, as_json=as_json)


def kin_of(config: Config | None, root: Path) -> Kin | None:
    """Which tags CONFIG, ROOT's, makes for the same variant."""
    return find_kin(config, root / FILE_NAME).same if config else None


def read_config(root: Path) -> Config | None:
    """ROOT's hubtool.yaml, where there is one."""
    return load(root) if (root / FILE_NAME).exists() else None


def _groups(deployment: Deployment, hubs: Sequence[str], rings: Sequence[str], group: bool) -> list[Group]:
    unknown = next((ring for ring in rings if ring not in deployment.rings), None)
    if unknown is not None:
        raise HubtoolError(
            f"no ring '{unknown}' in hubtool.yaml",
            where=Where(FILE_NAME, key="deployment.rings"),
            hint="rings there: " + (", ".join(deployment.rings) or "none"),
        )
    named = [*hubs, *(hub for ring in rings for hub in deployment.rings[ring])]
    if group:
        return [Group.of(named, rings[0] if len(rings) == 1 and not hubs else None)]
    return [Group.of([hub]) for hub in dict.fromkeys(named)]


def tests_of(config: Config | None, root: Path) -> dict[str, str]:
    """What the images that were pushed last from here were tested for, by digest."""
    records = [read_record(root, name) for name in (config.images if config else ())]
    return {one.digest: _tested(one) for one in records if one and one.digest and one.tested}


def _tested(record: Record) -> str:
    return f"contract {record.tested}" + (f": {record.test_summary}" if record.test_summary else "")


def report(bumps: Sequence[Bump], *, dry_run: bool = False, as_json: bool = False) -> None:
    """Print what became of BUMPS; one is a JSON object, several a list. In GitHub Actions also step outputs
    (pull_request_url and pull_request_number, one a line) and a summary."""
    for one in bumps:
        for pin in one.choice.left:
            console.warn(f"left as it is: {pin.file}:{pin.line}: {pin.path}: {pin.why or f'stands at {pin.tag}'}")
        for unread in one.unread:
            console.warn(f"not read, but it speaks of the image: {unread}")
        others = [hub for hub in one.touched if hub not in one.group.hubs]
        if others:
            console.warn(f"a merge also touches {', '.join(others)}: they share files with {', '.join(one.group.hubs)}")
        if not as_json:
            console.result(_dry(one) if dry_run and one.changes else _done(one))
    if as_json:
        items = [one.as_json() for one in bumps]
        console.result_json(items[0] if len(items) == 1 else items)
    _tell_actions(bumps)


def _done(one: Bump) -> str:
    target = ", ".join([f"{one.choice.image}:{one.new.tag}", *(further.tag for further in one.further)])
    if one.waiting:
        return f"{one.group.name}: not yet, {one.waiting}"
    if not one.changes:
        return f"{one.group.name}: nothing to do, it is at {target}"
    assert one.request is not None
    number = len([pin for change in one.changes for pin in change.pins])
    names = [change.file for change in one.changes]
    files = ", ".join(names[:MAX_FILES]) + (f" and {len(names) - MAX_FILES} more" if len(names) > MAX_FILES else "")
    if one.request.state == "unchanged":
        return f"{one.group.name}: nothing to do, {one.request.url} moves it to {target}"
    moved = f"{console.counted(number, 'tag')} to {target} in {files}"
    return f"{one.group.name}: {one.request.state} {one.request.url}\n  {moved}\n{one.diff().rstrip()}"


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
            console.github_summary(f"### Bump of hub {one.group.name}: {where}\n\n{one.body}")
        else:
            said = one.waiting or f"nothing to do, it is at `{one.new.tag}`"
            console.github_summary(f"### Bump of hub {one.group.name}\n\n{said}.")


# ---- arguments


def _image(config: Config | None, root: Path, image: str | None, tag: str | None) -> ImageReference:
    """The image with the tag to move to: as given, else hubtool.yaml's, at its last push."""
    reference = find_image(config, image, single=True)
    if reference is None:
        raise HubtoolError("no image given, and no hubtool.yaml that names one", hint="name it with --image")
    if tag is None:
        tag = _last_push(root, _name(config, image), reference)
    return reference.with_tag(tag)


def find_image(config: Config | None, image: str | None, *, single: bool = False) -> ImageReference | None:
    """The image that is meant, without tag: IMAGE as a reference or as hubtool.yaml calls it, else the only one of
    hubtool.yaml. None where nothing says; with SINGLE, several of hubtool.yaml are an error."""
    name = _name(config, image) if image or single or (config and len(config.images) == 1) else None
    if config and name:
        return config.reference(name)
    return _without_tag(image) if image else None


def _without_tag(image: str) -> ImageReference:
    given = ImageReference.parse(image)
    if given.tag or given.digest:
        raise HubtoolError(f"--image {image}: the tag goes into --tag, the digest is looked up")
    return given


def _name(config: Config | None, image: str | None) -> str | None:
    """Which image of hubtool.yaml is meant, None where it is another; $IMAGE may leave out the registry host."""
    if config is None:
        return None
    if image is None:
        if len(config.images) > 1:
            raise HubtoolError("hubtool.yaml makes several images", hint="--image " + "|".join(config.images))
        return next(iter(config.images))
    if image in config.images:
        return image
    given = _without_tag(image)
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
