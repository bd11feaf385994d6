"""What a JupyterHub needs of a single-user image once it is started as the hub does: its own entrypoint, uid 1000,
supplementary group 100, an empty volume over the home directory."""

from __future__ import annotations

import re

import httpx
import pytest

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.kernels import ANSWER, SUMS, KernelError, compute, kernel_languages
from hubtool.contracts.jupyterhub.server import Server, Starts
from hubtool.engines import Engine

KERNEL_SECONDS = 60
PROGRAM_SECONDS = 60


def test_J2_the_hub_can_start_it(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """jupyterhub-singleuser is on the run user's PATH.

    The hub starts jupyterhub-singleuser in the image; without it no user's server starts.

    To mend: add jupyterhub to the image's environment, in the version of the hub.
    """
    search = image.environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    found = image.files.which("jupyterhub-singleuser", search)
    assert found is not None, f"no jupyterhub-singleuser in PATH={search}"
    interpreter = _interpreter(image.files.read(found, 512))
    if interpreter is not None:
        missing = f"/{found.path} can't run: its interpreter {interpreter} is not in the image"
        assert image.files.find(interpreter) is not None, missing
    if engine.can_run() is None:
        _answers_with_its_version(request.getfixturevalue("starts"))


def _interpreter(start: bytes) -> str | None:
    """The program that a script's first line names, None for what is not a script."""
    match = re.match(rb"#![ \t]*(/[^\s\0]+)", start)
    return match[1].decode("utf-8", "replace") if match else None


def _answers_with_its_version(starts: Starts) -> None:
    if starts.up is None:
        return  # another check says why there is no container to ask
    done = starts.up.container.exec(["jupyterhub-singleuser", "--version"], timeout=PROGRAM_SECONDS)
    said = (done.stderr or done.stdout).strip().splitlines()[-1:]
    assert done.returncode == 0, f"jupyterhub-singleuser --version ends with code {done.returncode}: {''.join(said)}"


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
