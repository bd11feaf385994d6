"""Real builds in a real engine, from mirrors on loopback; whatever else a build asks for meets a closed door."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme
import uv

from hubtool.builders import CREATED, REVISION, BuildJob, BuildOptions
from hubtool.builders.repo2docker import Repo2DockerBuilder
from hubtool.config import Image, Site
from hubtool.engines import Engine, EngineBuild
from hubtool.errors import HubtoolError
from hubtool.process import run
from tests.builders.conftest import make_job, shell, write_files
from tests.builders.repo2docker.mirror import Mirror, running_mirror
from tests.builders.test_secrets import AUTHS, KEY, SERVICE_ACCOUNT

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PYPROJECT = "[project]\nname = 'demo'\nversion = '1'\nrequires-python = '>=3.10'\ndependencies = ['six==1.17.0']\n"
START = '#!/bin/bash\nexport STARTED=yes\nexec "$@"\n'


def left_of_a_site(engine: Engine, image: str, mirror: Mirror) -> str:
    """The files in IMAGE that come from, or tell of, the site's settings."""
    folders = "/usr/local/share/hubtool-site /usr/local/share/ca-certificates/hubtool-site"
    files = "/etc/pip.conf /etc/apt/apt.conf.d/99hubtool-site"
    words = f"-e {mirror.url.partition('//')[2]} -e hubtool-site --exclude=Dockerfile --exclude=built-by"
    places = "/etc /srv /opt /usr/local /home /root /tmp"
    script = f"ls -d {folders} {files} 2>/dev/null; grep -rsl {words} {places}; find / -xdev -name '.hubtool-*'; true"
    return shell(engine, image, script, "0")


@pytest.fixture(scope="module")
def site_mirror() -> Iterator[Mirror]:
    with running_mirror() as mirror:
        yield mirror


@pytest.fixture
def closed(site_mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """The mirror, with a proxy for everything else that refuses and remembers."""
    for key, value in site_mirror.proxies.items():
        monkeypatch.setenv(key, value)
    return site_mirror


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A uv.lock that names PyPI itself."""
    folder = write_files(tmp_path_factory.mktemp("lock"), {"pyproject.toml": PYPROJECT})
    run(uv.find_uv_bin(), "lock", "--quiet", cwd=folder, env={"UV_DEFAULT_INDEX": None, "PIP_FIND_LINKS": None})
    text = (folder / "uv.lock").read_text()
    assert "https://pypi.org/simple" in text
    return text


def mirrored(mirror: Mirror, *, run_time: bool = False) -> Site:
    return Site(
        pip_index=f"{mirror.url}/simple",
        conda_channel=f"{mirror.url}/conda-forge",
        cran=f"{mirror.url}/cran",
        apt_mirror=f"{mirror.url}/debian",
        run_time=run_time,
    )


def job_of(mirror: Mirror, root: Path, base: str, bundle: Path, name: str, **more: object) -> BuildJob:
    site = mirrored(mirror, run_time=bool(more.pop("run_time", False)))
    reference = f"localhost/hubtool-test:{name}"
    return make_job(
        root,
        base=base,
        site=site,
        ca_bundle=bundle,
        reference=reference,
        network="host",
        **more,  # type: ignore[arg-type]
    )


def build(job: BuildJob, engine: Engine) -> list[str]:
    with Repo2DockerBuilder().prepare(job) as prepared:
        return list(prepared.build(engine, BuildOptions()))


PLANTED: Mapping[str, str] = {
    "$HOME/.docker/config.json": AUTHS,
    "gha-creds-0a1b2c.json": SERVICE_ACCOUNT,
    "deep/gha-creds-0a1b2c.json": SERVICE_ACCOUNT,
    ".git/config": "[http]\nextraheader = AUTHORIZATION: basic eHg6c2VjcmV0\n",
    "deep/.docker/config.json": AUTHS,
    "renamed.json": AUTHS,
    "server.key": KEY,
    ".netrc": "machine github.com password s3cret\n",
    ".hubtool/demo.json": "{}",
    ".dockerignore": "!$HOME\n!gha-creds-*.json\n!.git\n",
}


@pytest.fixture(scope="module")
def locked_image(
    docker: Engine,
    base_image: str,
    site_mirror: Mirror,
    bundle: Path,
    lock: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, list[str]]]:
    """An image of the uv build pack with everything a repository may have; and the build's output."""
    files = {
        "pyproject.toml": PYPROJECT,
        "uv.lock": lock,
        "apt.txt": "tree\n",
        "postBuild": '#!/bin/bash\nset -eu\npython -c "import six"\necho "$(id -un) $SSL_CERT_FILE" > built-by\n',
        "start": START,
        **PLANTED,
    }
    root = write_files(tmp_path_factory.mktemp("locked"), files)
    labels = {"org.example.odd": 'quotes " and $dollars'}
    job = job_of(site_mirror, root, base_image, bundle, "locked")
    job = BuildJob(**{**job.__dict__, "labels": labels})
    with pytest.MonkeyPatch.context() as patch:
        for key, value in site_mirror.proxies.items():
            patch.setenv(key, value)
        lines = build(job, docker)
    yield str(job.reference), lines
    docker.remove_image(str(job.reference))


def test_everything_comes_from_the_mirrors(locked_image: tuple[str, list[str]], site_mirror: Mirror) -> None:
    assert site_mirror.strays == []
    asked = " ".join(site_mirror.asked)
    for wanted in ("/debian/dists/", "/debian-security/dists/", "/simple/six/", "/files/", "/simple/pip/"):
        assert wanted in asked


def test_no_planted_credential_is_in_the_image(locked_image: tuple[str, list[str]], docker: Engine) -> None:
    image, lines = locked_image
    found = shell(
        docker, image, "find /srv/repo; grep -rl -e c2VjcmV0 -e s3cret -e 'PRIVATE KEY' /srv/repo || true", "0"
    )
    for name in PLANTED:
        assert name == ".dockerignore" or f"/srv/repo/{name}" not in found
    assert "/srv/repo/built-by" in found
    assert any(line == "left out of the image: server.key (a private key)" for line in lines)


def test_nothing_of_the_site_is_left_in_the_image(
    locked_image: tuple[str, list[str]], docker: Engine, site_mirror: Mirror
) -> None:
    image, _ = locked_image
    assert left_of_a_site(docker, image, site_mirror) == ""
    held = docker.inspect(image)
    assert held is not None
    environment = " ".join(held.config["Env"])
    assert "127.0.0.1" not in environment
    assert "SSL_CERT_FILE" not in environment
    sources = shell(docker, image, "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null; true")
    assert "deb.debian.org" in sources


def test_the_run_user_can_use_and_extend_the_environment(locked_image: tuple[str, list[str]], docker: Engine) -> None:
    image, _ = locked_image
    assert docker.inspect(image).config["User"] == "jovyan"  # type: ignore[union-attr]
    script = (
        "cat built-by; bash -lc 'which python pip; python -c \"import six; print(six.__file__, six.__cached__)\"'; "
        "test -f $(python -c 'import six; print(six.__cached__)') && echo compiled; which tree uv; "
        "test -w /srv/venv/bin && pip --version > /dev/null && echo writable; id -u"
    )
    assert shell(docker, image, script).splitlines() == [
        "jovyan /usr/local/share/hubtool-site/ca-bundle.pem",
        "/srv/venv/bin/python",
        "/srv/venv/bin/pip",
        "/srv/venv/lib/python3.11/site-packages/six.py "
        "/srv/venv/lib/python3.11/site-packages/__pycache__/six.cpython-311.pyc",
        "compiled",
        "/usr/bin/tree",
        "/usr/local/bin/uv",
        "writable",
        "1000",
    ]


def test_entrypoint_and_start_script_run(locked_image: tuple[str, list[str]], docker: Engine) -> None:
    from hubtool.engines import ContainerSpec

    container = docker.run(ContainerSpec(locked_image[0], command=["sh", "-c", "echo started=$STARTED; which python"]))
    try:
        while container.running():
            pass
        assert container.logs().splitlines()[-2:] == ["started=yes", "/srv/venv/bin/python"]
    finally:
        container.remove()


def test_labels_say_where_it_came_from(locked_image: tuple[str, list[str]], docker: Engine, base_image: str) -> None:
    held, base = docker.inspect(locked_image[0]), docker.inspect(base_image)
    assert held is not None
    assert base is not None
    labels = held.config["Labels"]
    assert labels["org.example.odd"] == 'quotes " and $dollars'
    assert labels["org.opencontainers.image.base.name"] == base_image
    assert labels["org.opencontainers.image.base.digest"] == base.id
    assert labels["repo2docker.repo"] == "local"


def test_a_lock_with_another_hash_is_refused(
    docker: Engine, base_image: str, closed: Mirror, bundle: Path, lock: str, tmp_path: Path
) -> None:
    wrong = lock.replace(
        "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274", "sha256:" + "0" * 64
    )
    assert wrong != lock
    write_files(tmp_path, {"pyproject.toml": PYPROJECT, "uv.lock": wrong.replace("sdist = {", "# sdist = {")})
    with pytest.raises(HubtoolError, match=r"(?i)hash mismatch"):
        build(job_of(closed, tmp_path, base_image, bundle, "wrong-hash"), docker)
    assert docker.inspect("localhost/hubtool-test:wrong-hash") is None


def test_a_lock_that_does_not_fit_names_the_command_that_mends_it(
    docker: Engine, base_image: str, closed: Mirror, bundle: Path, lock: str, tmp_path: Path
) -> None:
    write_files(tmp_path, {"pyproject.toml": PYPROJECT.replace("six==1.17.0", "six<1.17"), "uv.lock": lock})
    with pytest.raises(HubtoolError, match=r"uv\.lock does not fit pyproject\.toml") as caught:
        build(job_of(closed, tmp_path, base_image, bundle, "old-lock"), docker)
    assert "uv lock" in str(caught.value.hint)
    assert str(caught.value.where).endswith("uv.lock")


def test_requirements_are_locked_in_the_build(
    docker: Engine, base_image: str, closed: Mirror, bundle: Path, tmp_path: Path
) -> None:
    write_files(tmp_path, {"requirements.txt": "six\n"})
    job = job_of(closed, tmp_path, base_image, bundle, "requirements", environment="uv")
    try:
        lines = build(job, docker)
        found = shell(
            docker, str(job.reference), "cat /srv/venv/requirements.lock; python -c 'import six; print(\"ok\")'"
        )
    finally:
        docker.remove_image(str(job.reference))
    assert any("requirements.txt has no hashes" in line for line in lines)
    assert "--hash=sha256:" in found
    assert found.endswith("ok\n")


def test_a_conda_environment_comes_from_the_mirror_alone(
    docker: Engine, base_image: str, closed: Mirror, bundle: Path, tmp_path: Path
) -> None:
    before = len(closed.asked)
    channels = "channels:\n- conda-forge\n- defaults\n- https://conda.anaconda.org/conda-forge\n"
    environment = channels + "dependencies:\n- conda-forge::numpy\n- python=3.12\n"
    write_files(tmp_path, {"environment.yml": environment})
    job = job_of(closed, tmp_path, base_image, bundle, "conda")
    build(job, docker)
    try:
        left = left_of_a_site(docker, str(job.reference), closed)
        records = shell(
            docker, str(job.reference), "cat /srv/conda/.condarc /srv/conda/envs/notebook/conda-meta/first.json"
        )
        repository = shell(docker, str(job.reference), "cat environment.yml; ls -A")
    finally:
        docker.remove_image(str(job.reference))
    asked = [path.removeprefix("/conda-forge/") for path in closed.asked[before:] if path.startswith("/conda-forge/")]
    packages = _lock_of("3.12")
    assert asked[0].startswith("linux-64/micromamba-")
    assert set(packages) <= set(asked)
    assert {path for path in asked if path not in packages} == {asked[0], "noarch/repodata.json"}
    assert closed.strays == []
    assert left == ""
    assert "- conda-forge\n" in records
    assert "https://conda.anaconda.org/conda-forge/linux-64/" in records
    assert repository == environment + "environment.yml\n"


def _lock_of(python: str) -> list[str]:
    from repo2docker.buildpacks import conda

    text = Path(conda.HERE, f"environment.py-{python}-linux-64.lock").read_text()
    urls = [line.partition("#")[0] for line in text.splitlines() if line.startswith("http")]
    return [url.removeprefix("https://conda.anaconda.org/conda-forge/") for url in urls]


SEES = (
    'RUN env | grep -q "^SSL_CERT_FILE=" && grep -q "127.0.0.1" /etc/apt/sources.list && '
    "grep -q hubtool-site /etc/ssl/certs/ca-certificates.crt && id -u > /who\n"
)


@pytest.mark.parametrize("user", ["", "USER 1234\n"])
def test_a_dockerfile_of_the_repositorys_own_sees_the_site_and_keeps_nothing(
    docker: Engine, base_image: str, site_mirror: Mirror, bundle: Path, tmp_path: Path, user: str
) -> None:
    text = f"FROM {base_image} AS one\n{SEES}FROM one\nCOPY . /srv/all\n{SEES}{user}"
    write_files(tmp_path, {"Dockerfile": text, "x": "1", **PLANTED})
    job = job_of(site_mirror, tmp_path, base_image, bundle, "dockerfile")
    build(job, docker)
    try:
        held = docker.inspect(str(job.reference))
        left = left_of_a_site(docker, str(job.reference), site_mirror)
        files = shell(docker, str(job.reference), "cd /srv/all && find . -type f | sort")
    finally:
        docker.remove_image(str(job.reference))
    assert held is not None
    assert held.config.get("User", "") == ("1234" if user else "")
    assert left == ""
    assert files.split() == ["./.dockerignore", "./Dockerfile", "./x"]
    assert held.config["Labels"]["org.opencontainers.image.base.name"] == base_image


def test_the_user_of_the_base_image_is_kept(
    docker: Engine, base_image: str, site_mirror: Mirror, bundle: Path, tmp_path: Path
) -> None:
    base = "localhost/hubtool-test:base-with-user"
    (tmp_path / "base").mkdir()
    write_files(tmp_path / "base", {"Dockerfile": f"FROM {base_image}\nUSER 4321\n"})
    list(docker.build(EngineBuild(base, tmp_path / "base")))
    root = write_files(tmp_path / "image", {"Dockerfile": f"FROM {base}\nRUN test $(id -u) = 4321\n"})
    job = job_of(site_mirror, root, base, bundle, "base-user")
    try:
        build(job, docker)
        assert docker.inspect(str(job.reference)).config["User"] == "4321"  # type: ignore[union-attr]
    finally:
        docker.remove_image(str(job.reference))
        docker.remove_image(base)


def test_at_run_time_the_settings_stay(
    docker: Engine, base_image: str, site_mirror: Mirror, bundle: Path, tmp_path: Path
) -> None:
    write_files(tmp_path, {"Dockerfile": f"FROM {base_image}\nUSER 1000\n"})
    job = job_of(site_mirror, tmp_path, base_image, bundle, "run-time", run_time=True)
    build(job, docker)
    script = (
        "cat /etc/pip.conf; echo $PIP_INDEX_URL $UV_DEFAULT_INDEX; "
        "cmp $SSL_CERT_FILE /usr/local/share/hubtool-site/ca-bundle.pem && echo same; "
        "cat $R_PROFILE; cat /etc/apt/sources.list; ls /usr/local/share/hubtool-site"
    )
    try:
        found = shell(docker, str(job.reference), script)
        trusted = shell(docker, str(job.reference), "cat /etc/ssl/certs/ca-certificates.crt")
    finally:
        docker.remove_image(str(job.reference))
    url = site_mirror.url
    assert f"index-url = {url}/simple\n{url}/simple {url}/simple\nsame\n" in found
    assert f'CRAN = "{url}/cran"' in found
    assert f"deb {url}/debian bookworm main" in found
    assert "enter.sh" not in found
    assert bundle.read_text().strip() in trusted


def test_a_fingerprint_is_of_everything_that_decides(tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": "FROM example.org/base:1\n", "x": "1"})
    job = make_job(tmp_path, base="example.org/base:1")
    digests = {"example.org/base:1": "sha256:1"}

    def fingerprint(job: BuildJob) -> str:
        with Repo2DockerBuilder().prepare(job) as prepared:
            return prepared.ingredients().fingerprint(digests.__getitem__)

    def differs(**changes: object) -> bool:
        return fingerprint(BuildJob(**{**job.__dict__, **changes})) != first

    first = fingerprint(job)
    assert not differs()
    assert not differs(reference=job.reference.with_tag("another"))
    assert not differs(labels={REVISION: "1", CREATED: "2"})
    assert differs(labels={"a": "b"})
    assert differs(settings=Image(base="example.org/base:1", args={"A": "1"}))
    assert differs(settings=Image(base="example.org/base:1", platform="linux/arm64"))
    assert differs(site=Site(pip_index="https://mirror.example/simple"))
    digests["example.org/base:1"] = "sha256:2"
    assert differs()
    digests["example.org/base:1"] = "sha256:1"
    write_files(tmp_path, {"README.md": "x", ".github/workflows/a.yaml": "x", "image-tests/test_a.py": "x"})
    assert not differs()
    write_files(tmp_path, {"gha-creds-1.json": json.dumps({})})
    assert not differs()
    write_files(tmp_path, {"x": "2"})
    assert differs()
