"""Images that keep the onyxia contract once they are started, and for every promise one that breaks it and nothing
else. Those of ``tests.contracts.onyxia.test_static`` are judged with nothing started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Parameters
from hubtool.contracts import TestReport
from hubtool.contracts.runner import promises
from hubtool.engines import ContainerSpec, Engine
from tests.contracts.conftest import BuildImage, RunContract, containers_of
from tests.contracts.every import some
from tests.contracts.onyxia import test_static
from tests.contracts.onyxia.conftest import IDE, INIT

EXPORT = 'export "$key=${value%.}"'
HANDS_OVER = '\nexec "$@"\n'
IN_POD = "[[ -z ${KUBERNETES_POD_NAME:-} ]] ||"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@dataclass(frozen=True)
class Broken:
    """An image: what is added to the good one (``lines``), and what other words its init script and its IDE have; the
    one check that shall fail, and words of what it says."""

    fails: str
    says: str
    lines: str = ""
    init: Mapping[str, str] = field(default_factory=dict)
    ide: Mapping[str, str] = field(default_factory=dict)
    profile: str = "code-server"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    start_seconds: int = 60  # fewer where an IDE never answers


def before_the_ide(*commands: str) -> Mapping[str, str]:
    """What makes an init script run COMMANDS last of all before it hands over."""
    return {HANDS_OVER: "\n" + "\n".join(commands) + HANDS_OVER}


BROKEN = {
    "IDE that ends at once": Broken(
        "R1", "the container ended with code 3", ide={"import os\n": "import os\nraise SystemExit(3)\n"}
    ),
    "command that is not there": Broken("R1", "the container ended with code 127", 'CMD ["/usr/bin/ide"]\n'),
    "init script with an error in it": Broken("S2", "syntax error", init={HANDS_OVER: f"{HANDS_OVER}if ; fi("}),
    "start that needs what is in the workspace": Broken(
        "S6",
        "it starts only with the workspace of the image",
        "RUN touch /home/onyxia/work/ready\n",
        before_the_ide(f"{IN_POD} [[ -e /home/onyxia/work/ready ]] || exit 4"),
    ),
    "IDE that listens for itself alone": Broken(
        "R2", "port 8080 is open on", ide={"((host, port)": '(("127.0.0.1", port)'}, start_seconds=30
    ),
    "port of the environment": Broken("R3", "listens on port 9000, not on 8080", "ENV PORT=9000\n", start_seconds=30),
    "password of its own": Broken(
        "R4", "the right password does not open it", init=before_the_ide("export PASSWORD=other")
    ),
    "no login": Broken("R4", "it is open", init=before_the_ide('set -- "$@" --auth none')),
    "password that everybody knows": Broken(
        "R4", "the password 'changeme' opens it", "ENV DEFAULT_PASSWORD=changeme\n"
    ),
    "words lost for CODE_SERVER_AUTH": Broken(
        "R5",
        "with CODE_SERVER_AUTH=none: no answer",
        init={'set -- "$1" --auth none "${@:2}"': 'set -- "$1" --auth none'},
        start_seconds=30,
    ),
    "exit code lost": Broken(
        "R6", "code 7 makes it end with 0", init={HANDS_OVER: f'\n"$@" || true\nexit 0{HANDS_OVER}'}
    ),
    "home directory lost": Broken("R7", "its HOME is '/tmp'", init=before_the_ide("export HOME=/tmp")),
    "groups dropped": Broken(
        "R8",
        "work belongs to root:100, and the user is uid=1000",
        init={'set -- "${AS_USER[@]}" "$@"': 'set -- setpriv --reuid=1000 --regid=2000 --clear-groups -- "$@"'},
        profile="rstudio",
    ),
    "start that needs sudo": Broken(
        "R9",
        "it starts only where programs may get new privileges",
        init=before_the_ide("! grep -q 'NoNewPrivs:.*1' /proc/self/status || exit 5"),
    ),
    "start that needs a token of Kubernetes": Broken(
        "R10",
        "it starts only with a token of Kubernetes",
        init=before_the_ide(f"{IN_POD} [[ -e {ACCOUNT} ]] || exit 6"),
    ),
    "home for uid 1000 alone": Broken(
        "R11",
        "the container ended with code 8",
        init=before_the_ide("[[ $(id -u) == 1000 ]] || exit 8"),
        parameters={"arbitrary_uid": True},
    ),
    "redirect to localhost": Broken("R12", "leads to http://localhost:9/, which", "ENV REDIRECT=http://localhost:9/\n"),
    "no start with a repository": Broken(
        "V1", "the container ended with code 3", init=before_the_ide("[[ -z ${GIT_REPOSITORY:-} ]] || exit 3")
    ),
    "index of pip changed": Broken(
        "V2", "pip has another value", init={"PIP_INDEX_URL=$PIP_REPOSITORY": "PIP_INDEX_URL=$PIP_REPOSITORY/more"}
    ),
    "channel of conda changed": Broken(
        "V3", "conda has another value", init={"CHANNELS=$CONDA_REPOSITORY": "CHANNELS=$CONDA_REPOSITORY/x"}
    ),
    "repository of R changed": Broken(
        "V4", "R has another value", "RUN sed -i 's,REPOSITORY\"$,&/x,' /usr/local/bin/Rscript\n"
    ),
    "authorities not for requests": Broken(
        "V5", "requests does not know it, git, pip does", init={" REQUESTS_CA_BUNDLE=$bundle": ""}
    ),
    "branch forgotten": Broken("V6", "on the branch main, not on work", init={'"${branch[@]}"': ""}),
    "mail forgotten": Broken(
        "V7", "user.email is ''", init={'user.email "$GIT_USER_MAIL"': 'user.mail "$GIT_USER_MAIL"'}
    ),
    "token changed": Broken("V8", "git sent another token", init={"password=%s\\n": "password=x%s\\n"}),
    "one secret alone": Broken("V9", "environment: HUBTOOL_OTHER", init={"done < <(jq": "break; done < <(jq"}),
    "session token lost": Broken("V10", "AWS_SESSION_TOKEN is not set", init=before_the_ide("unset AWS_SESSION_TOKEN")),
    "settings without a comma": Broken(
        "V11", "settings.json is no JSON", init={'mv "$file.new" "$file"': 'echo {1 >"$file"'}
    ),
    "region's script not run": Broken(
        "V12",
        "REGION_INIT_SCRIPT was fetched, and not run",
        init={"region_script() {": 'region_script() { fetch "${REGION_INIT_SCRIPT:-}" "$(mktemp)"; return;'},
    ),
    "arguments lost": Broken("V13", "its arguments were ['first']", init={'"${words[@]}"': '"${words[0]:-}"'}),
    "repository run": Broken(
        "H1", "PIP_REPOSITORY (", init=before_the_ide('eval "echo using ${PIP_REPOSITORY:-}" || true')
    ),
    "name run": Broken(
        "H2", "GIT_USER_NAME (", init={'user.name "$GIT_USER_NAME"': 'user.name "$(eval echo $GIT_USER_NAME)"'}
    ),
    "duration run": Broken(
        "H2",
        "GIT_CREDENTIALS_CACHE_DURATION (",
        init={
            "[[ ! ${GIT_CREDENTIALS_CACHE_DURATION:-} =~ ^[0-9]+$ ]]": "false",
            "=$GIT_CREDENTIALS_CACHE_DURATION": "=${GIT_CREDENTIALS_CACHE_DURATION:-}",
        },
    ),
    "token put into the address by sed": Broken(
        "H2",
        "GIT_PERSONAL_ACCESS_TOKEN (quotes)",
        init={
            '"${branch[@]}" -- "$GIT_REPOSITORY"': (
                '"${branch[@]}" -- "$(sed "s/:\\/\\//:\\/\\/oauth2:$GIT_PERSONAL_ACCESS_TOKEN@/" <<<"$GIT_REPOSITORY")"'
            ),
            '"$TOKEN_HELPER"': '""',
        },
    ),
    "token with an ampersand changed": Broken(
        "H2", "does not arrive: git sent", init={"| head -n 1": '| tr -d "&" | head -n 1'}
    ),
    "secret run": Broken(
        "H3",
        "HUBTOOL_SECRET_",
        init={EXPORT: f'{EXPORT}; sh -c "printf %s \\"${{value%.}}\\" >/dev/null"'},
    ),
    "secret in .bashrc": Broken(
        "H3", "HUBTOOL_SECRET_", init={EXPORT: f'{EXPORT}; echo "export $key=\\"$value\\"" >>~/.bashrc'}
    ),
    "secret expanded": Broken(
        "H3",
        "HUBTOOL_ODD_DOLLAR: 'pa/home/onyxia",
        init={EXPORT: 'export "$key=${value//\\$HOME/$HOME}"; export "$key=${!key%.}"'},
    ),
    "keys of S3 run": Broken("H4", "AWS_SECRET_ACCESS_KEY (", init={"export MC_HOST_s3": "eval export MC_HOST_s3"}),
    "arguments run": Broken("H5", "PERSONAL_INIT_ARGS (", init={"run_script() {": 'run_script() { eval "echo $*";'}),
    "password run": Broken("H6", "PASSWORD (", init=before_the_ide('sh -c "echo $PASSWORD" >/dev/null || true')),
    "JupyterLab with no token": Broken(
        "R4",
        "it is open",
        """USER root
RUN mkdir -p /etc/jupyter && echo '{"IdentityProvider": {"token": ""}}' > /etc/jupyter/jupyter_server_config.json
USER onyxia
""",
        profile="jupyter",
    ),
}
RUN = some(BROKEN)

# An init script that does nothing of what Onyxia asks for.
IDLE = Broken("", "", init={INIT.read_text(): '#!/bin/bash\nexec "$@"\n'})


def changed(file: Path, words: Mapping[str, str], folder: Path) -> Path:
    """FILE with other WORDS, in FOLDER; each stands in it."""
    text = file.read_text()
    for old, new in words.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / file.name).write_text(text)
    return folder / file.name


@dataclass(frozen=True)
class Workshop:
    """Makes an image of a case, and runs the contract against it."""

    good: Mapping[str, str]
    build: BuildImage
    run: RunContract
    folder: Path

    def report(self, name: str, broken: Broken) -> TestReport:
        title = "".join(char if char.isalnum() else "-" for char in name.lower())
        place = self.folder / title
        place.mkdir()
        files = [changed(INIT, broken.init, place), changed(IDE, broken.ide, place)]
        program = "/usr/lib/rstudio-server/bin/rserver" if broken.profile == "rstudio" else "/usr/bin/code-server"
        lines = ["USER root", "COPY --chmod=755 onyxia-init.sh /opt/"] if broken.init else []
        lines += ["USER root", f"COPY --chmod=755 ide.py {program}"] if broken.ide else []
        lines += ["USER onyxia"] if lines and broken.profile != "rstudio" else []
        if "Rscript" in broken.lines:
            lines += ["USER root", broken.lines, "USER onyxia"]
        else:
            lines.append(broken.lines)
        image = self.build(f"onyxia-{title}", "\n".join([f"FROM {self.good[broken.profile]}", *lines]), *files)
        return self.judge(image, broken.profile, broken.parameters, broken.start_seconds)

    def judge(self, image: str, profile: str, parameters: Mapping[str, Any], start_seconds: int = 60) -> TestReport:
        return self.run(
            image,
            contract="onyxia",
            profile=profile,
            user="onyxia",
            parameters=Parameters(**parameters),
            start_seconds=start_seconds,
        )


@pytest.fixture(scope="module")
def reports(
    code_server_image: str,
    rstudio_image: str,
    jupyter_image: str,
    build_image: BuildImage,
    run_contract: RunContract,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], TestReport]]:
    """The report of each image; they run three at a time, from the first question on."""
    good = {"code-server": code_server_image, "rstudio": rstudio_image, "jupyter": jupyter_image}
    workshop = Workshop(good, build_image, run_contract, tmp_path_factory.mktemp("onyxia"))
    pool = ThreadPoolExecutor(3)
    futures: dict[str, Future[TestReport]] = {
        profile: pool.submit(workshop.judge, image, profile, {"arbitrary_uid": True}) for profile, image in good.items()
    }
    cases = {**RUN, "idle": IDLE}
    futures |= {name: pool.submit(workshop.report, name, broken) for name, broken in cases.items()}
    yield lambda name: futures[name].result()
    pool.shutdown(cancel_futures=True)


# What no image here has.
LACKS = {"code-server": {"S13"}, "rstudio": {"S13"}, "jupyter": {"S13", "V3", "V4"}}


@pytest.mark.parametrize("profile", LACKS)
def test_a_good_image_keeps_every_promise(profile: str, reports: Callable[[str], TestReport]) -> None:
    report = reports(profile)
    assert [(result.check, result.message) for result in report.failed] == []
    assert {result.check for result in report.results if result.outcome == "skipped"} == LACKS[profile]
    assert report.passed


@pytest.mark.parametrize("name", RUN)
def test_a_broken_image_fails_its_one_check(name: str, reports: Callable[[str], TestReport]) -> None:
    report, broken = reports(name), BROKEN[name]
    assert {result.check: result.message for result in report.failed}.keys() == {broken.fails}, report.failed
    assert any(broken.says in result.message for result in report.failed), report.failed
    assert all(result.mend for result in report.failed)


def test_variables_that_are_ignored_are_said_to_be(reports: Callable[[str], TestReport]) -> None:
    report = reports("idle")
    assert report.passed
    ignored = {result.check for result in report.results if result.message.startswith("ignored: ")}
    assert ignored == {"R5", *(f"V{number}" for number in range(2, 14))} - {"V10"}  # the engine itself hands AWS_* on
    assert {result.outcome for result in report.results if result.check in ignored} == {"skipped"}


def test_an_image_without_anything_in_it_is_judged(build_image: BuildImage, run_contract: RunContract) -> None:
    image = build_image("onyxia-nothing", "FROM scratch\nCOPY Dockerfile /\n")
    report = run_contract(image, contract="onyxia", profile="code-server", user="onyxia", start_seconds=10)
    failed = {result.check: result.message for result in report.failed}
    assert failed.keys() == {"R1", "R6", *(f"S{number}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11))}
    assert "the engine can't start it" in failed["R1"]
    assert {r.check for r in report.results if r.outcome == "passed"} == {"S6", "S14"}
    assert containers_of(image) == {}


def test_every_check_has_an_image_that_fails_it() -> None:
    failing = {case.fails for case in BROKEN.values()} | {case.fails for case in test_static.BROKEN.values()}
    assert {promise.check for promise in promises("onyxia")} == failing


def test_nothing_is_left_when_all_is_done(reports: Callable[[str], TestReport]) -> None:
    for name in (*LACKS, *RUN):
        assert containers_of(reports(name).reference) == {}


def test_started_as_root_the_ide_and_its_files_are_the_user_s(images: Mapping[str, str], engine: Engine) -> None:
    words = 'id -un; stat -c %U ~/.gitconfig; git config user.name; echo "$UV_DEFAULT_INDEX"'
    command = ["/opt/onyxia-init.sh", "sh", "-c", words]
    environment = {"GIT_USER_NAME": "Ada of\n$(id)", "PIP_REPOSITORY": "https://x.invalid/simple"}
    said = ended(engine, ContainerSpec(images["base"], command, entrypoint=[], user="0:0", environment=environment))
    assert said.splitlines() == ["onyxia", "onyxia", "Ada of", "$(id)", "https://x.invalid/simple"]


def ended(engine: Engine, spec: ContainerSpec) -> str:
    """What a container of SPEC printed until it ended."""
    container = engine.run(spec)
    try:
        wait_until(lambda: not container.running())
        return container.logs()
    finally:
        container.remove()


def test_a_pod_s_ide_gets_the_signal_that_ends_it(images: Mapping[str, str], engine: Engine) -> None:
    command = "/opt/onyxia-init.sh jupyter lab --no-browser --ip '0.0.0.0'"
    container = engine.run(ContainerSpec(images["jupyter"], [command], entrypoint=["/bin/sh", "-c"]))
    try:
        wait_until(lambda: "is running at" in container.logs())
        container.stop(60)
        assert container.exit_code() == 0  # 137 where it had to be killed
    finally:
        container.remove()


ODD = "a'b\"c $HOME ${HOME}\n\\d=e"


def test_rstudio_s_sessions_have_the_container_s_variables_but_the_password(
    images: Mapping[str, str], engine: Engine
) -> None:
    environment = {"ODD": ODD, "PASSWORD": "one\nroot:two"}
    container = engine.run(ContainerSpec(images["rstudio"], environment=environment))
    try:
        wait_until(lambda: "listening" in container.logs())
        bare = ["env", "-i", "HOME=/home/onyxia", "PATH=/usr/bin:/bin", "RSTUDIO=1", "Rscript", "-e"]
        code = 'cat(Sys.getenv(c("ODD", "HOME", "PATH", "PASSWORD")), sep = "|")'
        told = container.exec([*bare, code], user="onyxia").stdout
        assert told == f"{ODD}|/home/onyxia|{images_path(images['rstudio'], engine)}|"
        # A password of two lines would have set root's.
        shadow = container.exec(["grep", "-E", "^(root|onyxia):", "/etc/shadow"], user="root").stdout
        assert {line.split(":")[1][0] for line in shadow.splitlines()} <= {"*", "!"}
        assert "nobody can log in" in container.logs()
    finally:
        container.remove()


def images_path(image: str, engine: Engine) -> str:
    held = engine.inspect(image)
    assert held is not None
    return next(str(word).removeprefix("PATH=") for word in held.config["Env"] if word.startswith("PATH="))


def wait_until(happened: Callable[[], bool]) -> None:
    """Return when it HAPPENED; fail where it does not at all."""
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen")
