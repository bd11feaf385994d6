"""What a JupyterHub needs of a single-user image once it is started as the hub does: its own entrypoint, uid 1000,
supplementary group 100, an empty volume over the home directory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.asked import Asked, asked_for
from hubtool.contracts.jupyterhub.extensions import PAGES, dumb, installed, off, proxied, silent
from hubtool.contracts.jupyterhub.kernels import ANSWER, SUMS, KernelError, compute, kernel_languages, kernel_pythons
from hubtool.contracts.jupyterhub.logs import errors_in, warnings_in
from hubtool.contracts.jupyterhub.packages import PYTHON, missing_from_python, missing_from_r, r_packages
from hubtool.contracts.jupyterhub.programs import installed_version, search_path
from hubtool.contracts.jupyterhub.server import Server, Starts
from hubtool.contracts.jupyterhub.spawned import COMMAND, PREFIX, Spawned
from hubtool.engines import Engine
from hubtool.process import Completed

KERNEL_SECONDS = 60
ACTIVITY_SECONDS = 15
STOP_SECONDS = 10
KILLED = 137
SHOWN = 10
# What a server says to those who may not use it: to log in, or that they may not.
REFUSED = (302, 303, 401, 403)

Note = Callable[[str], None]


def test_J2_the_hub_can_start_it(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """jupyterhub-singleuser is on the run user's PATH.

    The hub starts jupyterhub-singleuser in the image; without it no user's server starts.

    To mend: add jupyterhub to the image's environment, in the version of the hub.
    """
    found = image.files.which(COMMAND, search_path(image))
    assert found is not None, f"no {COMMAND} in PATH={search_path(image)}"
    interpreter = _interpreter(image.files.read(found, 512))
    if interpreter is not None:
        missing = f"/{found.path} can't run: its interpreter {interpreter} is not in the image"
        assert image.files.find(interpreter) is not None, missing
    if engine.can_run() is None and (done := request.getfixturevalue("version")) is not None:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        assert done.returncode == 0, f"{COMMAND} --version ends with code {done.returncode}: {''.join(said)}"


def _interpreter(start: bytes) -> str | None:
    """The program that a script's first line names, None for what is not a script."""
    match = re.match(rb"#![ \t]*(/[^\s\0]+)", start)
    return match[1].decode("utf-8", "replace") if match else None


def test_J3_its_jupyterhub_fits_the_hubs(
    image: ImageUnderTest, settings: Settings, engine: Engine, request: pytest.FixtureRequest, note: Note
) -> None:
    """Its JupyterHub has the major version of the hub's.

    A server of another major version speaks another dialect of OAuth and scopes: users are sent round and round
    between the hub and their server, or are told that they may not use it.

    To mend: pin jupyterhub in the image's environment to the version of the hub, and raise both together.
    """
    hub = settings.parameters.hub_version
    if hub is None:
        pytest.skip("the hub's version is not known: name it in hubtool.yaml, parameters.hub_version")
    done = request.getfixturevalue("version") if engine.can_run() is None else None
    own = done.stdout.strip() if done is not None and done.returncode == 0 else installed_version(image, "jupyterhub")
    if not own:
        pytest.skip(f"{COMMAND} does not tell its version: see J2")
    assert _major(own) == _major(hub), f"the image has jupyterhub {own}, the hub has {hub}"
    note(f"jupyterhub {own}, the hub has {hub}")


def _major(version: str) -> str:
    return version.lstrip("v").partition(".")[0]


def test_J4_starts_with_an_empty_home_volume(starts: Starts) -> None:
    """The home volume may be empty: entrypoint, start script and server work with an empty volume over the home.

    What an image brings in its home directory is hidden by the user's volume. An image that needs it starts on a
    laptop and on no hub.

    To mend: move what the start needs out of the home directory, say to /srv or /opt.
    """
    if not starts.empty.up and starts.up is None:
        pytest.skip("it does not start with its own home either: see K1")
    assert starts.empty.up, f"it starts only with the home directory of the image: {starts.empty.problem}"


def test_K1_the_server_answers(starts: Starts, settings: Settings) -> None:
    """The server answers: started as the hub does, GET /api/status is 200 in time.

    When it does not, users see "Spawn failed" after the hub's patience (start_timeout) is over.

    To mend: read the container's log; run it by hand with the run user's uid; or raise 'start_seconds'.
    """
    if starts.empty.up:
        return
    if starts.up is not None:
        pytest.skip("it starts only with the home directory of the image: see J4")
    pytest.fail(starts.empty.problem)


def test_K2_it_works_behind_a_hub(
    spawned: Spawned, starts: Starts, version: Completed | None, settings: Settings
) -> None:
    """It works behind a hub: jupyterhub-singleuser serves its user, and nobody else.

    What starts on a laptop may ignore what a hub tells it: then users see 404, are sent round and round by the
    login, their servers are ended as idle while they work, or, worst, anybody gets in.

    To mend: let the start script hand on its environment and arguments (exec "$@"), and leave base_url, token and
    authentication to jupyterhub-singleuser; read the container's log.
    """
    if not starts.empty.up:
        pytest.skip("no server starts with an empty home: see J4 and K1")
    if version is None or version.returncode != 0:
        pytest.skip(f"{COMMAND} does not run: see J2")
    spawned.wait(settings.start_seconds)
    if not spawned.up:
        spawned.keep_logs(settings)
        pytest.fail(f"as a hub starts it: {spawned.problem}")
    for who, token in (("no token", None), ("a token that the hub does not know", "x" * 24)):
        code = spawned.get("api/status", token)
        assert code in REFUSED, f"with {who} GET {PREFIX}api/status is HTTP {code}: anybody gets in"
    code = spawned.get("api/status", spawned.stranger)
    assert code in REFUSED, f"with another user's token GET {PREFIX}api/status is HTTP {code}: other users get in"
    assert spawned.login[-1].startswith("200 "), f"a browser can't log in by the hub: {', then '.join(spawned.login)}"
    assert any("/oauth2/token 200" in line for line in spawned.told), "a browser gets in without the hub's login"
    assert spawned.reported(ACTIVITY_SECONDS), "it does not tell the hub that it is in use: the hub will end it as idle"


def test_K3_a_kernel_computes(container: Server) -> None:
    """A kernel computes: a cell sent to each kernelspec returns its result.

    When it does not, notebooks open and every cell hangs or fails.

    To mend: start the kernel by hand in the image (jupyter console --kernel NAME) and read what it says.
    """
    wrong, unknown = [], []
    with container.http() as http:
        try:
            languages = kernel_languages(http)
        except KernelError as error:
            pytest.fail(str(error))
        for name, language in sorted(languages.items()):
            if language not in SUMS:
                unknown.append(f"{name} ({language or 'no language'})")
            elif problem := _kernel_problem(http, container.token, name, SUMS[language]):
                wrong.append(f"kernel {name}: {problem}")
    assert languages, "the server offers no kernel at all"
    assert not wrong, "; ".join(wrong)
    if len(unknown) == len(languages):
        pytest.skip(f"no known cell for: {', '.join(unknown)}")


def _kernel_problem(http: httpx.Client, token: str, name: str, code: str) -> str:
    """What is wrong with the kernel's answer to CODE, "" where nothing is."""
    try:
        printed = compute(http, token, name, code, KERNEL_SECONDS)
    except KernelError as error:
        return str(error)
    return "" if ANSWER in printed else f"{code} gave {printed.strip()[:200]!r}, expected {ANSWER}"


def test_K4_python_packages_import(container: Server, settings: Settings, note: Note) -> None:
    """What was asked for is there: every Python package that the repository's files name imports.

    A package that a build left out, or that lacks a library, is found by a class in its first lesson.

    To mend: import it by hand in the image and read what it says; libraries of the system go into apt.txt.
    """
    asked = [one for one in _asked(settings) if one.kind != "r"]
    if not asked:
        pytest.skip("the repository's files name no Python packages")
    with container.http() as http:
        pythons = kernel_pythons(http)
    wrong = missing_from_python(container.container, [*pythons, PYTHON], asked)
    assert not wrong, "; ".join(f"{one.name} ({one.file}): {said}" for one, said in wrong.items())
    note(f"{len(asked)} packages")


def test_K4_r_packages_load(container: Server, settings: Settings, image: ImageUnderTest, note: Note) -> None:
    """What was asked for is there: every R package that the repository's files name loads.

    install.packages() only warns where a package can't be built: the image is made, and the package is not in it.

    To mend: read the build's log for "non-zero exit status"; libraries of the system go into apt.txt.
    """
    asked = r_packages(_asked(settings))
    if not asked:
        pytest.skip("the repository's files name no R packages")
    assert image.files.which("Rscript", search_path(image)), (
        f"{asked[0].file} names R packages, and there is no Rscript"
    )
    wrong = missing_from_r(container.container, asked)
    assert not wrong, "; ".join(f"{one.name} ({one.file}): {said}" for one, said in wrong.items())
    note(f"{len(asked)} packages")


def _asked(settings: Settings) -> list[Asked]:
    if settings.context is None:
        pytest.skip("the repository's files are not known: the image was named by reference")
    return asked_for(Path(settings.context))


def test_K5_extensions_are_on(container: Server) -> None:
    """Listed extensions are on: each server extension is enabled and can be loaded.

    An extension that is installed and off gives links that end in 404, for a whole class at once.

    To mend: jupyter server extension enable --sys-prefix NAME; or remove the package.
    """
    wrong = off(container.container, "server")
    assert not wrong, "; ".join(wrong)


def test_K5_extensions_of_lab_are_on(container: Server, image: ImageUnderTest) -> None:
    """Listed extensions are on: each extension of JupyterLab is enabled and fits it.

    JupyterLab leaves out, without a word to its user, an extension that is built for another version.

    To mend: jupyter labextension list says why; pin the extension to a version for this JupyterLab, or remove it.
    """
    if "jupyterlab" not in installed(image):
        pytest.skip("there is no JupyterLab in the image")
    wrong = off(container.container, "lab")
    assert not wrong, "; ".join(wrong)


def test_K5_extensions_answer(container: Server, image: ImageUnderTest, note: Note) -> None:
    """Listed extensions are on: nbgitpuller, JupyterLab and others answer where they are installed, and so does every
    program behind jupyter-server-proxy (RStudio, VS Code).

    These are what people start from: a link of nbgitpuller in a course's page, the icon of RStudio.

    To mend: enable the extension; for a program behind the proxy, install the program too, not only its proxy.
    """
    modules = installed(image)
    if not modules:
        pytest.skip("the image has none of: " + ", ".join(PAGES))
    with container.http() as http:
        wrong = silent(http, modules)
        behind = proxied(http) if "jupyter_server_proxy" in modules else []
        wrong += dumb(http, behind)
    assert not wrong, "; ".join(wrong)
    note("answered: " + ", ".join([*modules, *(f"/{path}" for path in behind)]))


def test_K7_quiet_logs(container: Server, note: Note) -> None:
    """Quiet logs: no line at ERROR level while it starts; warnings are counted.

    Whoever looks for the reason of a failed start reads these lines first; one that is always there hides it.

    To mend: the line says what is wrong; configure it away, or remove what says it.
    """
    errors = list(dict.fromkeys(errors_in(container.said)))
    assert not errors, "\n".join(errors[:SHOWN])
    warnings = warnings_in(container.said)
    if warnings:
        note(f"{warnings} warning{'s' if warnings > 1 else ''}")


def test_K6_it_stops_when_told(spawned: Spawned) -> None:
    """It stops when told: SIGTERM ends it within 10 s.

    A server that does not hear it is killed: what kernels had not written is lost, and each stop, each eviction of
    a node, takes the whole grace period.

    To mend: start the server by exec in the start script, so that it is process 1, or by tini or dumb-init.
    """
    if not spawned.seconds:
        pytest.skip("no server was up behind a hub: see K2")
    spawned.container.stop(STOP_SECONDS)
    code = spawned.container.exit_code()
    assert code != KILLED, f"{STOP_SECONDS} s after SIGTERM it was still there, and was killed"
