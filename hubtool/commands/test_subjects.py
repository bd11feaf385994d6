"""What `hubtool test` is asked to test, and what its checks are told of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hubtool.commands.hub_version import hub_version
from hubtool.commands.promotion import IMAGE_TESTS
from hubtool.config import FILE_NAME, Config, Image, KnownIssue, load, place
from hubtool.contracts import CONTRACTS, NO_ENGINE, Settings, check_profile, default_profile
from hubtool.contracts.no_engine import no_engine
from hubtool.contracts.runner import own_files, promises
from hubtool.engines import Engine
from hubtool.errors import HubtoolError, Where
from hubtool.image.archive import Archive
from hubtool.plan import Variant, make_plan
from hubtool.plan.graph import image_of
from hubtool.plan.records import folder
from hubtool.plan.source import read_source

__test__ = False  # for pytest, whatever the module's name
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst")


@dataclass(frozen=True)
class Asked:
    """What the command line asks for in place of hubtool.yaml's: a contract, a profile, and for what is no image of
    hubtool.yaml the image there whose settings hold."""

    contract: str | None = None
    profile: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Subject:
    """An image to test. ``variant`` is set for one of hubtool.yaml, ``own`` where it is held against the contract and
    profile that hubtool.yaml names."""

    reference: str
    engine: Engine
    settings: Settings
    variant: Variant | None = None
    own: bool = False


def of_variant(variant: Variant, engine: Engine, asked: Asked) -> Subject:
    """The image of hubtool.yaml that ENGINE holds as VARIANT's reference; raises HubtoolError where it has none."""
    reference = str(variant.reference)
    found = engine.inspect(reference)
    if found is None:
        raise HubtoolError(f"{engine.name} has no image {reference}", hint="hubtool build")
    job = variant.job
    told = _settings(variant.image, job.settings, variant.root, asked)
    if told.contract == "jupyterhub" and told.parameters.hub_version is None:
        told = replace(told, parameters=told.parameters.model_copy(update={"hub_version": hub_version(variant.root)}))
    settings = replace(
        told,
        engine=engine.name,
        image=found.id,
        reference=reference,
        context=str(job.context),
        pip_index=job.site.pip_index,
        ca_bundle=str(job.ca_bundle) if job.ca_bundle else None,
    )
    own = (told.contract, told.profile) == (variant.contract, job.settings.profile or default_profile(variant.contract))
    return Subject(reference, engine, settings, variant, own)


def of_reference(reference: str, engine: Engine, root: Path, asked: Asked) -> Subject:
    """An image that ENGINE holds; raises HubtoolError where it has none."""
    found = engine.inspect(reference)
    if found is None:
        raise HubtoolError(f"{engine.name} has no image {reference}", hint=f"{engine.name} pull {reference}")
    told = _of_image(asked, root)
    return Subject(
        reference, engine, replace(told, engine=engine.name, image=found.id, name=reference, reference=reference)
    )


def of_file(path: Path, root: Path, asked: Asked) -> Subject:
    """An image in a docker archive, OCI archive or OCI layout; raises HubtoolError for what is none."""
    with Archive(path) as archive:
        image_id = archive.config_digest
    told = replace(_of_image(asked, root), archive=str(path.resolve()), image=image_id, name=path.name)
    return Subject(str(path), no_engine(), replace(told, engine=NO_ENGINE, reference=path.name))


def find(names: Sequence[str], root: Path, tag: str | None, dirty: bool) -> list[Variant | Path | str]:
    """The variants, archives and references that NAMES mean; every image of hubtool.yaml, where there are none."""
    config = load(root) if not names or (root / FILE_NAME).exists() else None
    images = [] if config is None else [name for name in names if image_of(name) in config.images]
    others: list[Variant | Path | str] = [_other(name, config, root) for name in names if name not in images]
    if names and not images:
        return others
    assert config is not None
    return [*others, *make_plan(config, root, read_source(root, allow_dirty=dirty), images, tag=tag)]


def _other(name: str, config: Config | None, root: Path) -> Path | str:
    path = Path(name)
    if path.is_file() or any((path / holds).is_file() for holds in ("oci-layout", "index.json", "manifest.json")):
        return path
    if name.endswith(ARCHIVES) or name.startswith(("/", "./", "../")):
        raise HubtoolError(f"no image archive and no OCI layout at {name}")
    if config is not None and "/" not in name and ":" not in name:
        near = difflib.get_close_matches(name, config.images, 1)
        if near:
            raise HubtoolError(
                f"no image called '{name}'", where=Where(root / FILE_NAME), hint=f"did you mean '{near[0]}'?"
            )
    return name


def _of_image(asked: Asked, root: Path) -> Settings:
    """What is told of an image that is not hubtool.yaml's, but for what it is."""
    if asked.image is None:
        contract = asked.contract or next(iter(CONTRACTS))
        image = Image.model_validate({"contract": contract, "tests": False})
        return replace(_settings("", image, root, asked), image_tests=None)
    config = load(root)
    if asked.image not in config.images:
        hint = f"images there: {', '.join(config.images)}"
        raise HubtoolError(f"no image called '{asked.image}'", where=Where(root / FILE_NAME), hint=hint)
    return _settings(asked.image, config.images[asked.image], root, asked)


def _settings(name: str, image: Image, root: Path, asked: Asked) -> Settings:
    """What hubtool.yaml at ROOT says of IMAGE, which is called NAME there."""
    contract = asked.contract or image.contract
    if asked.profile is not None:
        check_profile(contract, asked.profile)
    same = contract == image.contract
    profile = asked.profile or (image.profile if same else None) or default_profile(contract)
    return Settings(
        engine="",
        image="",
        name=name,
        contract=contract,
        log_folder=str(_log_folder(root)),
        profile=profile,
        parameters=image.parameters,
        known_issues=tuple(_known_issues(name, image, profile, root)) if same else (),
        uid=image.uid,
        user=image.user,
        repo_dir=image.repo_dir,
        start_seconds=image.start_seconds,
        image_tests=image_tests(root),
        own_tests=own_tests(name, image, root),
    )


def _known_issues(name: str, image: Image, profile: str, root: Path) -> Iterator[KnownIssue]:
    """The image's known issues; raises HubtoolError for one of a check that its contract doesn't have."""
    ids = [promise.check for promise in promises(image.contract, profile)] if image.known_issues else []
    for number, issue in enumerate(image.known_issues):
        if issue.check not in ids:
            near = difflib.get_close_matches(issue.check, sorted(set(ids)), 3, 0.5)
            raise HubtoolError(
                f"the contract {' '.join(filter(None, [image.contract, profile]))} has no check {issue.check}",
                where=place(root / FILE_NAME, "images", image_of(name), "known_issues", number, "check"),
                hint=(f"did you mean {' or '.join(near)}? " if near else "") + "every check: hubtool test --list",
            )
        yield issue


def image_tests(root: Path) -> str | None:
    """The folder of ROOT's image-tests; None where it has none to run."""
    tests = root / IMAGE_TESTS
    found = tests.is_dir() and any(path.suffix in (".py", ".ipynb") for path in tests.rglob("*"))
    return str(tests.resolve()) if found else None


def own_tests(name: str, image: Image, root: Path) -> str | None:
    """The folder of IMAGE's own checks; None where it has none. Raises HubtoolError for one that is named in
    hubtool.yaml and is not there, or not in the repository."""
    if image.tests is None:
        return None
    path = (root / image.tests).resolve()
    if "tests" in image.model_fields_set and not (path.is_dir() and path.is_relative_to(root.resolve())):
        where = place(root / FILE_NAME, "images", image_of(name), "tests")
        raise HubtoolError(f"no folder '{image.tests}' in the repository", where=where)
    return str(path) if own_files(path) else None


def _log_folder(root: Path) -> Path:
    try:
        path = folder(root) / "logs"
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise HubtoolError(
            f"no logs can be kept in {root}: {error.strerror}", hint="give a folder by --root"
        ) from error
    return path.resolve()
