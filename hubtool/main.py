"""The Typer app: options, help, errors to exit codes. No work is done here."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hubtool import __version__
from hubtool.errors import HubtoolError
from hubtool.main_bump import app as bump_app
from hubtool.main_look import app as look_app
from hubtool.main_pins import app as pins_app
from hubtool.options import (
    HERE,
    AsJson,
    CacheAt,
    Dirty,
    DryRun,
    EngineName,
    Images,
    Jobs,
    NoCache,
    Rebuild,
    Root,
    Scheduler,
    Tag,
    Yes,
)
from hubtool.quick import QuickGroup

EXPECTED, USAGE, BUG, INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="hubtool",
    cls=QuickGroup,
    help="Build, test and publish the container images of hubs, and move their tags by pull request.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(look_app)
app.add_typer(bump_app)
app.add_typer(pins_app, name="pins")


def _version(value: bool) -> None:
    if value:
        print(f"hubtool {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build, test and publish the container images of hubs, and move their tags by pull request."""


@app.command()
def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create; its name names the image.")],
    template: Annotated[str, typer.Option("--template", help="Kind of image repository.")] = "hub-image",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Answer a question of the template."),
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing; take --set and the defaults.")] = False,
) -> None:
    """Create an image repository from a template."""
    from hubtool.commands.new import new as command

    command(directory, template=template, settings=settings or [], no_input=no_input)


@app.command()
def plan(
    images: Images = None,
    root: Root = HERE,
    engine: EngineName = None,
    dirty: Dirty = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="What is declared: read no image's files and ask no registry.")
    ] = False,
    github_matrix: Annotated[
        bool, typer.Option("--github-matrix", help="Print a matrix a stage for GitHub Actions.")
    ] = False,
    bake: Annotated[bool, typer.Option("--bake", help="Print a bake file (JSON) for docker buildx bake.")] = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture of the graph to FILE.")
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph for Markdown.")] = False,
    readme: Annotated[
        Path | None,
        typer.Option("--readme", metavar="FILE", help="Write the images into FILE, between its marks. Prints no plan."),
    ] = None,
    rebuild: Rebuild = False,
    raise_versions: Annotated[
        bool,
        typer.Option("--raise-versions", help="Raise, in hubtool.yaml, the versions of what changed. Prints no plan."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what would be built, and why."""
    from hubtool.commands.plan import plan as command

    command(
        images or [],
        root=root,
        engine=engine,
        dirty=dirty,
        offline=offline,
        rebuild=rebuild,
        raised=raise_versions,
        as_json=as_json,
        github_matrix=github_matrix,
        bake=bake,
        picture=svg,
        readme=readme,
        as_mermaid=mermaid,
    )


@app.command()
def build(
    images: Images = None,
    root: Root = HERE,
    engine: EngineName = None,
    tag: Tag = None,
    dirty: Dirty = False,
    print_dockerfile: Annotated[
        bool, typer.Option("--print-dockerfile", help="Print the Dockerfile and build nothing.")
    ] = False,
    cache: CacheAt = None,
    cache_write: Annotated[bool, typer.Option("--cache-write", help="Also write the build cache.")] = False,
    no_cache: NoCache = False,
    rebuild: Rebuild = False,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Build images with a container engine."""
    from hubtool.commands.build import build as command
    from hubtool.commands.build_cache import CacheRules

    command(
        images or [],
        root=root,
        engine=engine,
        tag=tag,
        dirty=dirty,
        print_dockerfile=print_dockerfile,
        cache=CacheRules(cache, cache_write, no_cache),
        rebuild=rebuild,
        jobs=jobs,
        scheduler=scheduler,
        yes=yes,
        as_json=as_json,
    )


@app.command()
def test(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE|REFERENCE|FILE",
            help="Images of hubtool.yaml, references that the engine holds, archives and OCI layouts (only read).",
        ),
    ] = None,
    root: Root = HERE,
    engine: EngineName = None,
    tag: Tag = None,
    dirty: Dirty = False,
    contract: Annotated[
        str | None, typer.Option("--contract", help="Contract to hold it against, instead of hubtool.yaml's.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Profile of the contract, instead of hubtool.yaml's.")
    ] = None,
    settings_of: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="Image of hubtool.yaml whose settings a REFERENCE or FILE has."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit XML report.")] = None,
    as_json: AsJson = False,
    list_checks: Annotated[bool, typer.Option("--list", help="List the checks and what each promises.")] = False,
) -> None:
    """Hold images against their contract and the repository's own tests."""
    from hubtool.commands.test import test as command

    command(
        images or [],
        root=root,
        engine=engine,
        tag=tag,
        dirty=dirty,
        contract=contract,
        profile=profile,
        settings_of=settings_of,
        junit=junit,
        as_json=as_json,
        list_checks=list_checks,
    )


@app.command()
def push(
    images: Images = None,
    root: Root = HERE,
    engine: EngineName = None,
    tag: Tag = None,
    dirty: Dirty = False,
    move_tag: Annotated[bool, typer.Option("--move-tag", help="Let an existing tag move to another digest.")] = False,
    untested: Annotated[bool, typer.Option("--untested", help="Push an image that was not tested.")] = False,
    staged: Annotated[
        bool, typer.Option("--staged", help="Publish by fingerprint only, without a release's tag: the merge promotes.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the push would be allowed.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Publish images that passed their tests to the registry."""
    from hubtool.commands.push import push as command

    command(
        images or [],
        root=root,
        engine=engine,
        tag=tag,
        dirty=dirty,
        move_tag=move_tag,
        untested=untested,
        staged=staged,
        check=check,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def release(
    images: Images = None,
    root: Root = HERE,
    engine: EngineName = None,
    tag: Tag = None,
    hub: Annotated[
        list[str] | None, typer.Option("--hub", help="Hub to bump, instead of hubtool.yaml's.", envvar="HUB")
    ] = None,
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", metavar="REPO", help="Deployment repository.", envvar="HUBTOOL_DEPLOYMENT"),
    ] = None,
    no_bump: Annotated[bool, typer.Option("--no-bump", help="Stop after the push.")] = False,
    cache: CacheAt = None,
    cache_write: Annotated[
        bool, typer.Option("--cache-write/--no-cache-write", help="Also write the build cache; not in a dry run.")
    ] = True,
    no_cache: NoCache = False,
    rebuild: Rebuild = False,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Release what was pushed --staged; what is missing there fails.")
    ] = False,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Build, test, push and bump: what CI runs on merge."""
    from hubtool.commands.build_cache import CacheRules
    from hubtool.commands.release import release as command

    command(
        images or [],
        root=root,
        engine=engine,
        tag=tag,
        hubs=hub or [],
        deployment=deployment,
        no_bump=no_bump,
        cache=CacheRules(cache, cache_write and not (no_cache or dry_run), no_cache),
        rebuild=rebuild,
        no_build=no_build,
        jobs=jobs,
        scheduler=scheduler,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def demo(
    directory: Annotated[
        Path | None,
        typer.Option("--directory", help="Folder to work in and leave the results in.", show_default="hubtool-demo"),
    ] = None,
) -> None:
    """The whole line, on this machine alone: create, build, test, push and bump."""
    from hubtool.commands.demo import demo as command

    command(directory=directory)


def run() -> NoReturn:
    """The program: 0 done, 1 an expected failure, 2 wrong usage, 3 a bug, 130 interrupted."""
    # A runner that gives up sends SIGTERM: end as for Ctrl-C, so that what was started ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except HubtoolError as error:
        _fail(error)
    except BrokenPipeError:  # whoever read the output has enough of it: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXPECTED)
    except OSError as error:  # the machine's doing: no space, no right to write, a file in a folder's place
        _fail(HubtoolError(f"{error.filename or 'this machine'}: {error.strerror or error}"))
    except KeyboardInterrupt:
        _interrupted()
    except ImportError as error:
        _no_git_or_bug(error)
    except Exception as error:
        _usage_or_bug(error)
    if code == INTERRUPTED:  # how typer tells of Ctrl-C
        _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> NoReturn:
    print("\ninterrupted; run the same command again to go on", file=sys.stderr)
    sys.exit(INTERRUPTED)


def _fail(error: HubtoolError) -> NoReturn:
    from hubtool.console import github_error

    print(f"hubtool: {error}", file=sys.stderr)
    where = error.where
    github_error(str(error), str(where.file) if where else None, where.line if where else None)
    sys.exit(EXPECTED)


def _no_git_or_bug(error: ImportError) -> NoReturn:
    from hubtool.process import need_git

    try:
        need_git()  # without it GitPython can't be imported
    except HubtoolError as missing:
        _fail(missing)
    _usage_or_bug(error)


def _usage_or_bug(error: Exception) -> NoReturn:
    # typer brings its own copy of click, or takes the installed one: hence by name.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "Abort" in kinds:  # how click tells of Ctrl-C
        _interrupted()
    if "ClickException" in kinds:
        error.show()  # type: ignore[attr-defined]
        sys.exit(USAGE)
    import traceback

    traceback.print_exception(error)
    print(f"hubtool {__version__}: this is a bug in hubtool; please report it with the lines above", file=sys.stderr)
    sys.exit(BUG)
