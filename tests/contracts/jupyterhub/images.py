"""Images that keep the jupyterhub contract, and for every promise images that break it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contracts.every import some

FOLDER = Path(__file__).parent / "image"
ROOT = "USER root\n"
RUN_USER = "USER jovyan\n"
# Random bytes, no key of anyone.
BODY = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"
KEY = f"-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----\\n"
SINGLEUSER = "/srv/venv/bin/jupyterhub-singleuser"
CONFIG = "/srv/venv/etc/jupyter/jupyter_server_config.py"
MEGABYTES = "head -c 3000000 /dev/urandom"
LABEL = "org.opencontainers.image"
WITH_R = f"""{ROOT}RUN apt-get -qq update \\
 && apt-get -qq install --yes --no-install-recommends r-base-core r-cran-jsonlite > /dev/null \\
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
{RUN_USER}"""


def as_root(command: str) -> str:
    """Dockerfile lines that run COMMAND as root."""
    return f"{ROOT}RUN {command}\n{RUN_USER}"


def script(path: str, *lines: str) -> str:
    """Dockerfile lines that put a shell script at PATH."""
    text = "\\n".join(["#!/bin/sh", *lines, ""]).replace("'", "'\\''").replace("%", "%%")
    return as_root(f"printf '{text}' > {path} && chmod +x {path}")


def entrypoint(*lines: str) -> str:
    """Dockerfile lines for an image whose entrypoint is a shell script of LINES."""
    return script("/srv/start", *lines) + 'ENTRYPOINT ["/srv/start"]\n'


@dataclass(frozen=True)
class Broken:
    """An image: what is added to the one called ``on``, the one check that shall fail, and words of what it says.
    ``files`` are those of its repository; ``parameters`` what hubtool.yaml says of the platform."""

    lines: str
    fails: str
    says: str
    start_seconds: int = 60
    parameters: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    on: str = "good"


BROKEN = {
    "runs as root": Broken(ROOT, "J1", "it runs as root: USER is 'root'"),
    "no jupyterhub-singleuser": Broken(as_root(f"rm {SINGLEUSER}"), "J2", "no jupyterhub-singleuser in PATH=/srv/venv"),
    "jupyterhub-singleuser that can't start": Broken(
        script(SINGLEUSER, "echo no such module >&2; exit 3"), "J2", "ends with code 3: no such module"
    ),
    "jupyterhub-singleuser of an environment that was moved": Broken(
        as_root(f"sed -i '1s|.*|#!/srv/moved/bin/python|' {SINGLEUSER}"),
        "J2",
        "its interpreter /srv/moved/bin/python is not in the image",
    ),
    "jupyterhub of long ago": Broken("", "J3", "the hub has 3.1.1", parameters={"hub_version": "3.1.1"}),
    "start script in the home directory": Broken(
        f"{RUN_USER}RUN printf '#!/bin/sh\\nexec \"$@\"\\n' > /home/jovyan/start && chmod +x /home/jovyan/start\n"
        'ENTRYPOINT ["/home/jovyan/start"]\n',
        "J4",
        "starts only with the home directory of the image",
    ),
    "packages in the home directory": Broken(
        f"{RUN_USER}RUN mkdir -p ~/.local/bin && touch ~/.local/bin/tool\n", "J4", "/home/jovyan/.local/bin/tool"
    ),
    "deleted key": Broken(
        f"{RUN_USER}RUN printf -- '{KEY}' > /srv/repo/deploy\nRUN rm /srv/repo/deploy\n",
        "J5",
        "a private key: /srv/repo/deploy (layer",
    ),
    "cache of pip": Broken(
        as_root(f"mkdir -p /root/.cache/pip/http && {MEGABYTES} > /root/.cache/pip/http/a"),
        "J6",
        "pip's cache in /root/.cache/pip: 3,000,000 bytes",
    ),
    "larger than the site allows": Broken(
        "", "J6", "bytes, more than max_size: 100,000,000", parameters={"max_size": "100MB"}
    ),
    "packages that are not compiled": Broken(
        as_root("find /srv/venv/lib/python3*/site-packages/jupyterhub -name '*.pyc' -delete"),
        "J7",
        "not compiled: /srv/venv/lib/python3.11/site-packages/jupyterhub (",
    ),
    "nobody knows which base": Broken(
        f"LABEL {LABEL}.base.digest= {LABEL}.created=yesterday\n",
        "J8",
        f"{LABEL}.created is 'yesterday'; no {LABEL}.base.digest",
    ),
    "server that never answers": Broken(entrypoint("exec sleep 300"), "K1", "no answer within 3 s", start_seconds=3),
    "entrypoint that ends at once": Broken(
        entrypoint("echo cannot find it; exit 7"), "K1", "the container ended with code 7"
    ),
    "server that lets anybody in": Broken(
        script(
            SINGLEUSER,
            'if [ "$1" = --version ]; then echo 6.0.0; exit; fi',
            'exec jupyter server --ip=0.0.0.0 --ServerApp.base_url="$JUPYTERHUB_SERVICE_PREFIX" '
            "--IdentityProvider.token=",
        ),
        "K2",
        "with no token GET /user/ada/api/status is HTTP 200: anybody gets in",
    ),
    "start script that forgets the user's prefix": Broken(
        entrypoint("export JUPYTERHUB_SERVICE_PREFIX=/", 'exec "$@"'),
        "K2",
        "GET /user/ada/api/status: HTTP 404",
        start_seconds=40,
    ),
    "start script that hides the hub": Broken(
        entrypoint("unset JUPYTERHUB_API_URL", 'exec "$@"'),
        "K2",
        "as a hub starts it: no answer within 40 s",
        start_seconds=40,
    ),
    "server whom the hub's login does not know": Broken(
        entrypoint("export JUPYTERHUB_CLIENT_ID=another", 'exec "$@"'),
        "K2",
        "a browser can't log in by the hub",
    ),
    "server that never says that it is in use": Broken(
        entrypoint("export JUPYTERHUB_ACTIVITY_INTERVAL=0", 'exec "$@"'),
        "K2",
        "does not tell the hub that it is in use",
    ),
    "kernel that fails": Broken(
        as_root('sed -i \'s/"-m"/"-m-missing"/\' /srv/venv/share/jupyter/kernels/python3/kernel.json'),
        "K3",
        "kernel python3: dies when it is started",
    ),
    "package that was asked for and is not there": Broken(
        "",
        "K4",
        "pandas (environment.yml): it is not in the image",
        files={"environment.yml": "dependencies: [python, pip, {pip: [jupyterhub, pandas>=2]}]\n"},
    ),
    "package that can't be imported": Broken(
        as_root(
            "cd /srv/venv/lib/python3*/site-packages && mkdir lesson lesson-1.dist-info"
            " && echo import no_such_library > lesson/__init__.py && printf 'Name: lesson\\nVersion: 1\\n'"
            " > lesson-1.dist-info/METADATA && echo lesson/__init__.py,, > lesson-1.dist-info/RECORD"
        ),
        "K4",
        "lesson (requirements.txt): import lesson: ModuleNotFoundError: No module named 'no_such_library'",
        files={"requirements.txt": "nbgitpuller\nlesson\npywin32; sys_platform == 'win32'\n"},
    ),
    "package of R that was not built": Broken(
        "",
        "K4",
        "ggplot2 (install.R): it is not in the image",
        files={"runtime.txt": "r-4.5-2026-01-01", "install.R": 'install.packages(c("jsonlite", "ggplot2"))'},
        on="with R",
    ),
    "package of R and no R": Broken(
        "",
        "K4",
        "install.R names R packages, and there is no Rscript",
        files={"runtime.txt": "r-4.5-2026-01-01", "install.R": 'install.packages("jsonlite")'},
    ),
    "extension that is off": Broken(
        as_root("/srv/venv/bin/jupyter server extension disable --sys-prefix nbgitpuller"),
        "K5",
        "nbgitpuller is disabled",
    ),
    "proxy before a program that is not there": Broken(
        as_root(
            "echo \"c.ServerProxy.servers = {'rstudio': {'command': ['rserver', '--port', '{port}']}}\" > " + CONFIG
        ),
        "K5",
        "GET /rstudio/: HTTP 500",
    ),
    "extension of JupyterLab that does not fit": Broken(
        'RUN sed -i \'s/"\\^4[^"]*"/"^3.0.0"/\' '
        "/srv/venv/share/jupyter/labextensions/jupyterlab_pygments/package.json\n",
        "K5",
        "jupyterlab_pygments is broken",
        on="real",
    ),
    "start script that does not hand on SIGTERM": Broken(
        entrypoint('"$@"', "exit $?"), "K6", "10 s after SIGTERM it was still there, and was killed"
    ),
    "error at every start": Broken(
        as_root("echo \"from traitlets.log import get_logger; get_logger().error('no such share')\" > " + CONFIG),
        "K7",
        "no such share",
    ),
}


GOOD = {
    "good": Broken("", "", "", parameters={"hub_version": "6.0.0"}),
    "real": Broken("", "", "", files={"requirements.txt": (FOLDER / "requirements.txt").read_text()}, on="real"),
    "with R": Broken(
        "", "", "", files={"runtime.txt": "r-4.5-2026-01-01", "install.R": 'install.packages("jsonlite")'}, on="with R"
    ),
}
RUN = some(
    BROKEN,
    "runs as root",
    "kernel that fails",
    "start script that does not hand on SIGTERM",
    "entrypoint that ends at once",
    "start script in the home directory",
    "server that lets anybody in",
)
CASES = {**GOOD, **RUN}
