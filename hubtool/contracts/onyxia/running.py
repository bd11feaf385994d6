"""What an Onyxia chart needs of an IDE's image once it is started: as the chart does (/bin/sh -c with the init script,
the image's entrypoint unused, an empty volume over the workspace, group 100, no new privileges), and as docker run
does (its own entrypoint and command)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import httpx
import pytest

from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.onyxia.ide import GROUP, Platform
from hubtool.contracts.onyxia.injected import ENDED, Injected
from hubtool.contracts.onyxia.service import Service, Starts

Note = Callable[[str], None]
CURL_SECONDS = 30.0
CURL_HOPS = 50  # curl's --max-redirs
# The uid that OpenShift gives to a project's containers is one of its own range; the group is 0.
ANY_UID = "1000680000:0"
# A password that a published image has by default is known to everybody.
DEFAULT_PASSWORD = "changeme"


def _must_be_up(service: Service, cause: str) -> None:
    """Skip or fail where SERVICE did not come up: CAUSE is the check that says why, R1 where none does."""
    if not service.wait().up:
        if cause != "R1":
            pytest.skip(f"see {cause}")
        pytest.fail(service.problem)


def _cause(service: Service) -> str:
    return "R2" if service.wait().on_loopback else "R3" if service.elsewhere else "R1"


def test_S2_the_init_script_parses(container: Service) -> None:
    """bash finds no error in the init script.

    A script with an error in it stops there: what it should have set up is not, and no IDE starts.

    To mend: bash -n /opt/onyxia-init.sh, and shellcheck.
    """
    script = container.platform.init_script
    checked = container.host.run(f"bash -n {shlex.quote(script)}")
    assert checked.rc == 0, f"bash -n {script}: {checked.stderr.strip()[:500]}"


def test_S6_starts_with_an_empty_workspace(starts: Starts) -> None:
    """The volume may be empty: the IDE starts with an empty volume over the workspace.

    The chart mounts the user's volume there. An image that needs what it has in the workspace starts on a laptop and
    in no pod.

    To mend: move what the start needs out of the workspace, say to /opt.
    """
    if starts.cause == "S6":
        pytest.fail(f"it starts only with the workspace of the image: {starts.chart.problem}")
    if starts.up is None:
        pytest.skip(f"see {starts.cause}")


def test_R1_answers_as_the_chart_starts_it(starts: Starts, note: Note) -> None:
    """The IDE answers: started as the chart does, GET / gives a status from 200 to 399 within 2 s, in time.

    These are the pod's startup, readiness and liveness probes. When they fail the pod is killed and started anew, and
    the user waits for ever.

    To mend: read the container's log; run /bin/sh -c "/opt/onyxia-init.sh …" in the image; or raise 'start_seconds'.
    """
    if starts.cause:
        _must_be_up(starts.chart, starts.cause)
    note(f"after {starts.chart.seconds:.1f} s")


def test_R1_answers_as_docker_run_starts_it(starts: Starts, note: Note) -> None:
    """The IDE answers when docker run starts the image, by its own entrypoint and command.

    That is how people try an image before they give it to a platform. The chart hides what is wrong there.

    To mend: ENTRYPOINT ["/opt/onyxia-init.sh"], and CMD with the IDE's words, listening on 0.0.0.0.
    """
    _must_be_up(starts.plain, _cause(starts.plain))
    note(f"after {starts.plain.seconds:.1f} s")


def test_R2_listens_for_others(starts: Starts) -> None:
    """The IDE listens on 0.0.0.0, started as the chart does and as docker run does.

    On 127.0.0.1 it answers inside the container and nowhere else.

    To mend: pass --host 0.0.0.0 (code-server), --ip 0.0.0.0 (jupyter), www-address=0.0.0.0 (rserver).
    """
    found = [(how, service.wait().on_loopback) for how, service in _both(starts)]
    wrong = [f"{how}: {said}" for how, said in found if said]
    assert not wrong, "; ".join(wrong)
    _one_is_up(starts)


def test_R3_keeps_its_port(starts: Starts, image: ImageUnderTest, platform: Platform) -> None:
    """The IDE listens on the port that the chart's service leads to, and nothing in the image changes that.

    code-server takes PORT and CODE_SERVER_HOST from the environment, before its own options.

    To mend: take PORT and CODE_SERVER_HOST out of ENV, and any change of the port out of the init script.
    """
    moved = [f"{how}: {service.elsewhere}" for how, service in _both(starts) if service.wait().elsewhere]
    if platform.profile == "code-server":
        have = image.environment
        moved += [f"the image sets {name}={have[name]}" for name in ("PORT", "CODE_SERVER_HOST") if have.get(name)]
    assert not moved, "; ".join(moved)
    _one_is_up(starts)


def _both(starts: Starts) -> Iterator[tuple[str, Service]]:
    yield "as the chart starts it", starts.chart
    yield "as docker run starts it", starts.plain


def _one_is_up(starts: Starts) -> None:
    if starts.up is None and not starts.plain.up:
        pytest.skip("no IDE came up to ask")


def test_R4_only_the_password_opens_it(container: Service) -> None:
    """With PASSWORD set nobody gets in without it or with another, and whoever has it does.

    Without a login everybody who finds the address has a terminal with the user's data and credentials; with a wrong
    one the user never gets in.

    To mend: let the IDE take PASSWORD as the chart hands it over; code-server does so by itself.
    """
    assert not container.gets_in(None), "it is open: the IDE is there without a password"
    assert not container.gets_in("not-the-password"), "a wrong password opens it"
    assert container.gets_in(container.platform.password), "the right password does not open it"


def test_R4_the_password_opens_it_as_docker_run_starts_it(starts: Starts) -> None:
    """With docker run, too, nobody gets in without the password; the one in PASSWORD opens code-server and RStudio.

    An image that is open by default is open wherever somebody tries it.

    To mend: let the entrypoint do what the init script does.
    """
    if not starts.plain.wait().up:
        pytest.skip("no IDE came up to ask: see R1")
    assert not starts.plain.gets_in(None), "it is open: the IDE is there without a password"
    if starts.plain.platform.profile != "jupyter":
        assert starts.plain.gets_in(starts.plain.platform.password), "the password in PASSWORD does not open it"


def test_R4_has_no_password_that_everybody_knows(starts: Starts, image: ImageUnderTest, note: Note) -> None:
    """With no PASSWORD at all it is not open either, and no password of the image's own opens it.

    Whoever can pull the image reads the password in it.

    To mend: take PASSWORD out of ENV and defaults out of the entrypoint; refuse to start, or make a random one.
    """
    if not starts.plain.wait().up:
        pytest.skip("no IDE came up to ask: see R1")
    if not starts.keyless.wait().up:
        note("it does not start without PASSWORD")
        return
    assert not starts.keyless.gets_in(None), "it is open when PASSWORD is not set"
    for password in dict.fromkeys([image.environment.get("PASSWORD") or DEFAULT_PASSWORD, DEFAULT_PASSWORD]):
        assert not starts.keyless.gets_in(password), f"the password '{password}' opens it when PASSWORD is not set"


@pytest.mark.profiles("code-server")
def test_R5_code_server_auth_none_opens_it(starts: Starts, container: Service) -> None:
    """With CODE_SERVER_AUTH=none the IDE is there with no login, for sites whose proxy has logged the user in.

    An init script that takes the words of the command apart for it often starts nothing, or another folder. Where the
    login stays, the variable is ignored: users of such a site log in twice.

    To mend: set -- "$1" --auth none "${@:2}" in the init script itself, not in a function of it.
    """
    starts.must_be_the_charts()
    assert starts.open is not None
    assert starts.open.wait().up, f"with CODE_SERVER_AUTH=none: {starts.open.problem}"
    if not starts.open.gets_in(None):
        assert starts.open.gets_in(container.platform.password), "with CODE_SERVER_AUTH=none no password opens it"
        pytest.skip("ignored: with CODE_SERVER_AUTH=none there still is a login")


def test_R6_the_init_script_hands_over(given: Injected, platform: Platform) -> None:
    """The init script starts the command that it is given, and its exit code is the container's.

    Otherwise a crashed IDE counts as a good end, and a good end as a crash.

    To mend: end the script with exec "$@".
    """
    code = given.ended.wait_for_end()
    if code is None:
        pytest.fail(f"{platform.init_script} sh -c 'exit {ENDED}': {given.ended.problem or 'it did not end'}")
    assert code == ENDED, f"a command that ends with code {ENDED} makes it end with {code}"


@pytest.mark.profiles("code-server", "jupyter")
def test_R7_the_ide_runs_as_the_user(container: Service) -> None:
    """The IDE's process is the run user's, also where the container starts as root, and HOME is the user's home.

    Files that it makes as somebody else are not the user's; with another HOME its settings are lost.

    To mend: USER in the Dockerfile; exec sudo -EHu onyxia -- "$@" in an init script that starts as root.
    """
    process, expected = container.process, container.platform.settings.uid
    assert process.uid == expected, f"the IDE runs as uid {process.uid}, expected {expected}"
    home = process.environment.get("HOME", "")
    assert home == container.platform.home, f"its HOME is '{home}', expected {container.platform.home}"


def test_R8_the_user_can_write_in_the_workspace(given: Injected, platform: Platform) -> None:
    """The IDE's user can write in the workspace when the volume there belongs to root and group 100, mode 2775.

    That is how Kubernetes hands over a volume with fsGroup 100: only the group may write.

    To mend: leave the groups as they are: no setpriv --clear-groups, no su, no sudo that drops group 100.
    """
    if given.ended.wait_for_end() is None:
        pytest.skip("the init script did not start the command: see R6")
    said = given.ended.logs()
    identity = next((line for line in said.splitlines() if line.startswith("uid=")), "")
    if "can-write" not in said and not identity:
        pytest.skip("the init script did not start the command: see R6")
    assert "can-write" in said, f"{platform.workspace} belongs to root:{GROUP}, and the user is {identity}"


def test_R9_starts_with_no_new_privileges(starts: Starts) -> None:
    """The IDE starts where no program gets more rights than it has (allowPrivilegeEscalation: false).

    sudo does not work there. An init script that needs it stops, and the pod never comes up.

    To mend: ask sudo -n true first, and go on without where it fails.
    """
    if starts.cause == "R9":
        pytest.fail(f"it starts only where programs may get new privileges: {starts.chart.problem}")
    if starts.up is None:
        pytest.skip(f"see {starts.cause}")


def test_R10_starts_without_a_service_account(starts: Starts) -> None:
    """The IDE starts where there is no token of Kubernetes (/var/run/secrets/kubernetes.io).

    Charts mount none where the user has no rights in the cluster; docker run never does.

    To mend: test -e before the token is read.
    """
    if starts.cause == "R10":
        pytest.fail(f"it starts only with a token of Kubernetes: {starts.chart.problem}")
    if starts.up is None:
        pytest.skip(f"see {starts.cause}")


def test_R11_starts_with_any_uid(starts: Starts, container: Service, platform: Platform) -> None:
    """The IDE starts with any uid in group 0, as OpenShift gives it.

    Where the home directory is writable for uid 1000 alone, the IDE can't write its settings and ends.

    To mend: chgrp -R 0 /home/onyxia && chmod -R g=u /home/onyxia
    """
    if not platform.settings.parameters.arbitrary_uid:
        pytest.skip("not asked for: 'parameters: arbitrary_uid' in hubtool.yaml")
    anyone = starts.start(platform.chart(user=ANY_UID))
    assert anyone.wait().up, anyone.problem


def test_R12_curl_gets_an_answer(container: Service) -> None:
    """curl -L gets an answer on the IDE's port: redirects lead to the service itself.

    This is the chart's own test (helm test). A redirect to another port, to https or to localhost leads users of the
    real address nowhere as well.

    To mend: let the IDE send relative redirects; no --redirect-to, no TLS in the container.
    """
    with httpx.Client(timeout=CURL_SECONDS, follow_redirects=True, max_redirects=CURL_HOPS, trust_env=False) as http:
        try:
            http.get(container.url(container.platform.port))
        except httpx.HTTPError as error:
            asked = error.request.url
            pytest.fail(f"GET / leads to {asked.scheme}://{asked.netloc.decode()}{asked.path}, which does not answer")
