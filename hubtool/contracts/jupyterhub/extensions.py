"""Which extensions of Jupyter an image has, whether they are on, and whether they answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx

from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.programs import library
from hubtool.engines import Container

SECONDS = 120.0
# A program behind a proxy starts at the first request.
PROXY_SECONDS = 60.0
# What a package of Jupyter answers where it is on: module, address.
PAGES = {
    "jupyterlab": "lab",
    "notebook": "tree",
    "nbgitpuller": "git-pull?repo=https%3A%2F%2Fforge.invalid%2Frepository",
    "jupyter_resource_usage": "api/metrics/v1",
    "jupyter_server_proxy": "server-proxy/servers-info",
}

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_STATE = re.compile(r"\s+(\S+)(?: v\S+)? (enabled|disabled)\b(.*)")
_PROBLEM = re.compile(r"\s+(?:X|✗|❌) (.+)")


def installed(image: ImageUnderTest) -> list[str]:
    """The modules of PAGES that the server's environment has."""
    modules = library(image, "jupyter")
    return [module for module in PAGES if module in modules]


def off(container: Container, kind: str) -> list[str]:
    """The extensions that ``jupyter KIND extension list`` says are disabled or broken, and how; KIND is server or lab.
    What it can't say is one of them."""
    command = ["jupyter", "labextension", "list"] if kind == "lab" else ["jupyter", kind, "extension", "list"]
    done = container.exec(command, timeout=SECONDS)
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode != 0:
        last = [line.strip() for line in said.splitlines() if line.strip()][-1:]
        return [f"{' '.join(command)} ends with code {done.returncode}: {''.join(last)}"]
    return list(judged(said))


def judged(text: str) -> Iterator[str]:
    """What is wrong by the TEXT of a list. The first folder that names an extension decides, as with Jupyter."""
    known = set()
    for line in _COLOURS.sub("", text).splitlines():
        state, problem = _STATE.match(line), _PROBLEM.match(line)
        if state and state[1] not in known:
            known.add(state[1])
            if state[2] == "disabled":
                yield f"{state[1]} is disabled"
            elif re.search(r"\bX\b|✗|❌", state[3]):
                yield f"{state[1]} is broken: {state[3].strip()}"
        elif problem:
            yield problem[1].strip()


def silent(http: httpx.Client, modules: list[str]) -> list[str]:
    """Those of MODULES whose page is not there, and what is instead."""
    told = {module: _get(http, PAGES[module]) for module in modules}
    return [f"{module}: GET /{PAGES[module]}: {said}" for module, said in told.items() if said]


def proxied(http: httpx.Client) -> list[str]:
    """The paths of the programs that jupyter-server-proxy stands before."""
    answer = http.get(PAGES["jupyter_server_proxy"])
    servers = answer.json().get("server_processes", []) if answer.status_code == 200 else []
    found = [(server.get("launcher_entry") or {}).get("path_info") or f"{server['name']}/" for server in servers]
    return [str(path).lstrip("/") for path in found]


def dumb(http: httpx.Client, paths: list[str]) -> list[str]:
    """Those of the programs behind PATHS that do not answer, and what is said instead."""
    told = {path: _get(http, path) for path in paths}
    return [f"GET /{path}: {said}" for path, said in told.items() if said]


def _get(http: httpx.Client, path: str) -> str:
    """What is wrong with the answer to GET PATH, "" where nothing is."""
    try:
        code = http.get(path, timeout=PROXY_SECONDS).status_code
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return f"HTTP {code}" if code == 404 or code >= 500 else ""
