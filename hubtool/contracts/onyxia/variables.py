"""The variables that Onyxia and its regions inject: implemented (passed), ignored (skipped, and said so) or broken
(failed). One container has them all; others have hostile values, which must stay data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from hubtool.contracts.onyxia import hostile
from hubtool.contracts.onyxia.injected import CA_BUNDLE, Injected, left
from hubtool.contracts.onyxia.region import BRANCH, PROJECT, Site
from hubtool.contracts.onyxia.service import Service
from hubtool.contracts.onyxia.settings import DARK
from hubtool.contracts.onyxia.tools import Knows, git_knows, of_tools, pip_knows, requests_knows, uv_knows

Note = Callable[[str], None]


@pytest.fixture
def set_up(given: Injected, container: Service) -> Service:
    """The IDE with every variable set. Skips where it does not start so."""
    if not given.configured.wait().up:
        pytest.skip("it does not start with the variables: see V1")
    return given.configured


@pytest.fixture
def reached(given: Injected, set_up: Service) -> Injected:
    """For what has to be fetched: skips where containers do not reach this machine."""
    if not given.reaches_us:
        pytest.skip("containers here do not reach this machine, which would serve it: a firewall?")
    return given


def ignored(text: str) -> None:
    pytest.skip(f"ignored: {text}")


def test_V1_starts_with_every_variable(given: Injected, container: Service) -> None:
    """The IDE starts with every variable of Onyxia set, and whatever they hold.

    A wrong token or a repository that is gone must not keep a user out of the IDE: what fails is said in the log.

    To mend: no set -e in the init script; go on where a step fails.
    """
    assert given.configured.wait().up, given.configured.problem
    for way, stand in given.hostile.items():
        assert stand.wait().up, f"with hostile values ({way}): {stand.problem}"


def test_V2_pip_repository(given: Injected, set_up: Service, note: Note) -> None:
    """PIP_REPOSITORY is the index of pip and uv.

    On a site with no way out, packages come from this mirror or not at all.

    To mend: export PIP_INDEX_URL="$PIP_REPOSITORY" UV_DEFAULT_INDEX="$PIP_REPOSITORY" in the init script.
    """
    url = given.variables["PIP_REPOSITORY"]
    note(of_tools("PIP_REPOSITORY", url, given.site.key, {"pip": pip_knows(set_up), "uv": uv_knows(set_up)}))


def test_V3_conda_repository(given: Injected, set_up: Service) -> None:
    """CONDA_REPOSITORY is the channel of conda, or of micromamba where there is no conda.

    On a site with no way out, packages come from this mirror or not at all.

    To mend: export CONDA_CHANNELS="$CONDA_REPOSITORY" in the init script.
    """
    told = set_up.run("sh", "-c", "conda config --show 2>/dev/null || micromamba config list 2>/dev/null").stdout
    if not told:
        ignored("CONDA_REPOSITORY: there is no conda in the image")
    of_tools("CONDA_REPOSITORY", given.variables["CONDA_REPOSITORY"], given.site.key, {"conda": told})


def test_V4_r_repository(given: Injected, set_up: Service) -> None:
    """R_REPOSITORY is one of R's repositories.

    On a site with no way out, packages come from this mirror or not at all.

    To mend: options(repos = c(LocalRepository = Sys.getenv("R_REPOSITORY"))) in R's Rprofile.site.
    """
    code = 'cat(getOption("repos"), sep = "\\n")'
    told = set_up.run("sh", "-c", 'command -v Rscript >/dev/null || exit 127; Rscript -e "$1"', "sh", code)
    if told.returncode == 127:
        ignored("R_REPOSITORY: there is no R in the image")
    assert told.returncode == 0, f"R does not start: {told.stderr.strip()[-300:]}"
    of_tools("R_REPOSITORY", given.variables["R_REPOSITORY"], given.site.key, {"R": told.stdout})


def test_V5_path_to_ca_bundle(given: Injected, set_up: Service, note: Note) -> None:
    """PATH_TO_CA_BUNDLE is where git, pip and Python's requests look for authorities.

    Without it every address of a site with an authority of its own is "certificate verify failed".

    To mend: export GIT_SSL_CAINFO, PIP_CERT, REQUESTS_CA_BUNDLE and SSL_CERT_FILE with its value.
    """
    if set_up.run("cat", CA_BUNDLE).returncode != 0:
        pytest.skip("the engine does not show a folder of this machine to its containers")
    knows: Knows = {
        "git": git_knows(set_up, "http.sslCAInfo", "GIT_SSL_CAINFO"),
        "pip": pip_knows(set_up, "cert", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        "requests": requests_knows(set_up),
    }
    note(of_tools("PATH_TO_CA_BUNDLE", CA_BUNDLE, "hubtool-ca", knows))


def test_V6_git_repository(reached: Injected, set_up: Service) -> None:
    """GIT_REPOSITORY is cloned into the workspace, on GIT_BRANCH, as the IDE's user.

    The chart opens the IDE in that folder.

    To mend: git clone --branch "$GIT_BRANCH" -- "$GIT_REPOSITORY" in the workspace.
    """
    folder = f"{set_up.platform.workspace}/{PROJECT}"
    head = set_up.run("cat", f"{folder}/.git/HEAD")
    if head.returncode != 0 and not any(path.startswith("open/") for path in reached.site.asked):
        ignored("GIT_REPOSITORY: nothing asked for it")
    assert head.returncode == 0, f"it was asked for, but {folder} is no clone: {head.stderr.strip()[:300]}"
    branch = head.stdout.strip().removeprefix("ref: refs/heads/")
    assert branch == BRANCH, f"{folder} is on the branch {branch}, not on {BRANCH}"
    owner = set_up.run("stat", "-c", "%u", f"{folder}/branch").stdout.strip()
    # RStudio's service is root, its sessions are not.
    user = set_up.process.uid or set_up.platform.settings.uid
    assert owner == str(user), f"its files belong to uid {owner}, the IDE's user is {user}"


def test_V7_git_settings(given: Injected, set_up: Service) -> None:
    """GIT_USER_NAME, GIT_USER_MAIL and GIT_CREDENTIALS_CACHE_DURATION are git's settings.

    Without a name the user's first commit fails; without the cache git asks for the token every time.

    To mend: git config --global user.name "$GIT_USER_NAME", and so on.
    """
    name, mail = given.variables["GIT_USER_NAME"], given.variables["GIT_USER_MAIL"]
    expected = {"user.name": (name, "GIT_AUTHOR_NAME"), "user.email": (mail, "GIT_AUTHOR_EMAIL")}
    found = {key: git_knows(set_up, key, variable) for key, (_, variable) in expected.items()}
    if not any(given.site.key in text for text in found.values()):
        ignored("GIT_USER_NAME and GIT_USER_MAIL: git does not know them")
    wrong = [
        f"{key} is '{found[key].strip()}'"
        for key, (right, _) in expected.items()
        if right not in found[key].splitlines()
    ]
    helper = git_knows(set_up, "credential.helper")
    wrong += [] if "--timeout=3600" in helper.replace(" ", "=") else [f"credential.helper is '{helper.strip()}'"]
    assert not wrong, "; ".join(wrong)


def test_V8_git_personal_access_token(reached: Injected) -> None:
    """GIT_PERSONAL_ACCESS_TOKEN opens a private repository: it is what git sends.

    Without it users of private repositories start with an empty workspace.

    To mend: a credential helper that prints $GIT_PERSONAL_ACCESS_TOKEN; never an address that holds the token.
    """
    if not reached.token.wait().up:
        pytest.skip("it does not start with the variables: see V1")
    site = reached.token_site
    if not site.sent:
        ignored("GIT_PERSONAL_ACCESS_TOKEN: git sent none")
    assert _arrived(site), f"git sent another token than GIT_PERSONAL_ACCESS_TOKEN: {_shape(site)}"


def _arrived(site: Site) -> bool:
    return any(site.pat in told.partition(":")[::2] for told in site.sent)


def _shape(site: Site) -> str:
    """What was sent for the site's token, which is a made-up one."""
    return ", ".join(dict.fromkeys(site.sent))


def test_V9_vault(reached: Injected, set_up: Service) -> None:
    """Every key of the user's secret in Vault is a variable of the IDE.

    Users keep their tokens there; notebooks and terminals read them from the environment.

    To mend: GET $VAULT_ADDR/v1/$VAULT_MOUNT/data/$VAULT_TOP_DIR/$VAULT_RELATIVE_PATH, and export each key.
    """
    have = set_up.process.environment
    missing = sorted(key for key, value in reached.site.secrets.items() if have.get(key) != value)
    if len(missing) == len(reached.site.secrets) and not any(path.startswith("v1/") for path in reached.site.asked):
        ignored("VAULT_ADDR: nothing asked for the secret")
    asked = ", ".join(dict.fromkeys(path for path in reached.site.asked if path.startswith("v1/")))
    assert not missing, f"asked for {asked or 'nothing'}, but not in the IDE's environment: {', '.join(missing)}"


def test_V10_s3(given: Injected, set_up: Service, note: Note) -> None:
    """The variables of S3 are the IDE's, as they were given, and mc has an alias with them.

    Every client of S3 reads them; a changed one is "access denied".

    To mend: leave AWS_* as they are; export MC_HOST_s3="https://KEY:SECRET:TOKEN@ENDPOINT" where there is mc.
    """
    have, sent = set_up.process.environment, given.variables
    names = sorted(name for name in sent if name.startswith(("AWS_", "S3_")) and have.get(name) != sent[name])
    assert not names, "; ".join(f"{name} is {'another' if name in have else 'not set'}" for name in names)
    if set_up.run("sh", "-c", "command -v mc").returncode != 0:
        return
    hosts = [value for name, value in have.items() if name.startswith("MC_HOST_") and given.site.key in value]
    if not hosts:
        note("mc is there, and knows nothing of it")
        return
    parts = [sent[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_ENDPOINT")]
    assert any(all(part in host for part in parts) for host in hosts), "mc's alias has other keys or another address"


def test_V11_dark_mode(set_up: Service, container: Service) -> None:
    """With DARK_MODE=true the IDE is dark.

    It is the user's choice in Onyxia. A step that breaks the settings file takes the user's other settings with it.

    To mend: write the theme into the IDE's settings with jq, into a file that is whole.
    """
    dark, told = DARK[set_up.platform.profile](set_up, container)
    if dark is None:
        ignored(f"DARK_MODE: {told}")
    assert dark, told


def test_V12_region_init_script(reached: Injected, set_up: Service, note: Note) -> None:
    """REGION_INIT_SCRIPT is fetched and run before the IDE starts; not where its checksum is another one.

    Regions add their certificates and mirrors by it.

    To mend: fetch it into a file, compare sha256sum with REGION_INIT_SCRIPT_CHECKSUM, run the file.
    """
    _script(reached, set_up, "region", "REGION_INIT_SCRIPT")
    if not reached.checksum_holds:
        note("REGION_INIT_SCRIPT_CHECKSUM is ignored: a changed script was run")


def test_V13_personal_init_script(reached: Injected, set_up: Service) -> None:
    """PERSONAL_INIT_SCRIPT is fetched and run with PERSONAL_INIT_ARGS before the IDE starts.

    Users set their own workspace up by it.

    To mend: read -ra words <<<"$PERSONAL_INIT_ARGS"; bash FILE "${words[@]}"
    """
    said = _script(reached, set_up, "personal", "PERSONAL_INIT_SCRIPT").split()
    assert said == reached.variables["PERSONAL_INIT_ARGS"].split(), f"its arguments were {said}"


def _script(given: Injected, set_up: Service, kind: str, variable: str) -> str:
    """What the script KIND left inside the container; fails or skips where it was not run."""
    done = set_up.run("cat", left(kind, given.site))
    fetched = f"{kind}.sh" in given.site.asked
    if done.returncode != 0 and not fetched:
        ignored(f"{variable}: nothing asked for it")
    assert done.returncode == 0, f"{variable} was fetched, and not run"
    return done.stdout


def _stays_data(given: Injected, variables: Iterable[str]) -> None:
    """Fail where the value of one of VARIABLES was run; skip where nothing came up to see it."""
    up = {way: stand for way, stand in given.hostile.items() if stand.wait().up}
    if not up:
        pytest.skip("it does not start with such values: see V1")
    found = [f"{name} ({way})" for way in up for name in given.ran(way) if name in set(variables)]
    assert not found, f"what stands in the value was run as a program: {', '.join(found)}"


def test_H1_values_of_repositories_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in PIP_REPOSITORY, CONDA_REPOSITORY, R_REPOSITORY, PACKAGE_MANAGER_URL and
    PATH_TO_CA_BUNDLE are never run.

    Who can set a variable, say through a link that launches a service, would run programs as the user.

    To mend: quote every variable; no eval, no sh -c with a value in it; write no value into ~/.bashrc.
    """
    _stays_data(given, hostile.FAMILIES["repositories"])


def test_H2_values_for_git_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in GIT_* are never run, and a token with / and & arrives as it is.

    A launch link names the repository and branch; sed makes something else of a token with / or &.

    To mend: git clone --branch="$GIT_BRANCH" -- "$GIT_REPOSITORY"; a credential helper for the token, no sed.
    """
    _stays_data(given, hostile.FAMILIES["git"])
    awkward, plain = given.sites["lines"], given.token_site
    if given.token.wait().up and _arrived(plain):
        said = _shape(awkward) or "nothing"
        assert _arrived(awkward), f"the token {awkward.pat} does not arrive: git sent {said}"


def test_H3_values_of_vault_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in VAULT_*, and in the keys and values of a secret, are never run, and the
    values arrive as they are.

    A password with a dollar sign is a password. Whoever may write a secret that others read would run programs as them.

    To mend: jq '… | @base64' and base64 -d into a variable; export "$key=$value"; no sh -c, nothing into ~/.bashrc.
    """
    inside = [key for site in given.sites.values() for key in site.secrets]
    _stays_data(given, [*hostile.FAMILIES["vault"], *inside, "VAULT_KEY"])
    stand, site = given.hostile["substitution"], given.sites["substitution"]
    have = stand.process.environment if stand.up and stand.process is not None else {}
    secret = {
        **hostile.ODD_SECRETS,
        **{key: site.secrets[key] for key in site.secrets if key.startswith(hostile.SECRET)},
    }
    changed = [f"{key}: {have[key]!r} for {value!r}" for key, value in secret.items() if have.get(key, value) != value]
    assert not changed, f"other values arrive: {'; '.join(changed)}"


def test_H4_values_of_s3_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in AWS_* are never run.

    Keys are random text, and endpoints are the region's.

    To mend: quote every variable; no eval; feed SQL to duckdb with its quotes doubled.
    """
    _stays_data(given, hostile.FAMILIES["s3"])


def test_H5_values_of_init_scripts_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in the addresses and arguments of init scripts are never run.

    The script may do what it likes; its address and its arguments may not.

    To mend: curl -- "$PERSONAL_INIT_SCRIPT"; read -ra words <<<"$PERSONAL_INIT_ARGS"; no eval.
    """
    _stays_data(given, hostile.FAMILIES["scripts"])


def test_H6_values_of_the_login_are_data(given: Injected, container: Service) -> None:
    """Quotes, dollar signs and line ends in PASSWORD, CODE_SERVER_AUTH and DARK_MODE are never run.

    Users choose their password, and it may hold any character.

    To mend: leave PASSWORD in the environment, where code-server reads it; write it into no file by a shell.
    """
    _stays_data(given, hostile.FAMILIES["login"])
