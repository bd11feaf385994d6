"""The parts of the onyxia contract that need no container."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.onyxia import hostile
from hubtool.contracts.onyxia.ide import IN_REPOSITORY, expand
from hubtool.contracts.onyxia.login import encrypted
from hubtool.contracts.onyxia.region import BRANCH, PROJECT, Region, Site
from hubtool.contracts.onyxia.script import ends_in_exec, tools_called, variables_needed
from hubtool.contracts.onyxia.settings import plain_json
from hubtool.contracts.onyxia.tools import of_tools

ENVIRONMENT = {"PASSWORD": "p$(PASSWORD)", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("--token='$(PASSWORD)'", "--token='p$(PASSWORD)'"),
        ("a$(EMPTY)b", "ab"),
        ("$(NOT_SET)", "$(NOT_SET)"),
        (f"/home/onyxia/work{IN_REPOSITORY}", f"/home/onyxia/work{IN_REPOSITORY}"),
        ("$$(PASSWORD)", "$(PASSWORD)"),
        ("$$$$", "$$"),
        ("$HOME ${HOME}", "$HOME ${HOME}"),
        ("$(PASSWORD", "$(PASSWORD"),
        ("", ""),
    ],
)
def test_args_are_expanded_as_a_kubelet_does(text: str, expanded: str) -> None:
    assert expand(text, ENVIRONMENT) == expanded


@given(st.text())
def test_a_dollar_sign_that_is_doubled_stays_one(text: str) -> None:
    assert expand(text.replace("$", "$$"), ENVIRONMENT) == text


@pytest.mark.parametrize(
    ("script", "ends"),
    [
        ('exec "$@"', True),
        ('exec "$@"\n# the end\n\n', True),
        ('set -e\nexec sudo -EHu onyxia -- "$@"\n', True),
        ('if [ $(id -u) = 0 ]; then\n  exec sudo -u onyxia -- "$@"\nelse\n  exec "$@"\nfi\n', True),
        ('[ -n "$1" ] && exec "${@}"', True),
        ('main() {\n  exec "$@"\n}\nmain "$@"\n', True),
        ('exec tini -- \\\n  "$@"\n', True),
        ("exec $@\n", True),
        ("", False),
        ("#!/bin/bash\n", False),
        ('"$@"\n', False),
        ('exec "$@" &\nwait\n', False),
        ('exec "$@"\necho done\n', False),
        ('# exec "$@"\n', False),
        ('main() {\n  "$@"\n}\nmain "$@"\n', False),
        ('echo exec "$1"\n', False),
    ],
)
def test_a_script_that_becomes_its_command_is_told(script: str, ends: bool) -> None:
    assert ends_in_exec(script) is ends


@given(st.text())
def test_any_text_is_read_as_a_script(text: str) -> None:
    ends_in_exec(text), tools_called(text), variables_needed(text)


def test_tools_that_a_script_looks_for_first_need_not_be_there() -> None:
    script = "curl x | jq .\n# wget y\nif command -v sudo; then sudo true; fi\n/opt/git/run\ntype awk && awk 1\n"
    assert tools_called(script) == {"curl", "jq"}


def test_variables_that_a_script_reads_without_a_default_are_told() -> None:
    script = 'cd "$WORKSPACE_DIR"\necho ${USERNAME:-ada}\nGROUPNAME=users\nchown $GROUPNAME x\n# $USERNAME\n'
    assert variables_needed(script) == ["WORKSPACE_DIR"]


@given(st.text(max_size=60))
def test_the_password_of_rstudio_is_encrypted_for_its_key(text: str) -> None:
    key = KEY.private_numbers().public_numbers
    sealed = base64.b64decode(encrypted(text, f"{key.e:x}", f"{key.n:x}"))
    assert KEY.decrypt(sealed, padding.PKCS1v15()).decode() == text


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": 1, // no\n}', '{"a": 1 \n}'),
        ('{/* a */"b": "// c, }",}', '{"b": "// c, }"}'),
        ('{"a": "\\"", }', '{"a": "\\"" }'),
        ("[1, 2,\n]", "[1, 2\n]"),
        ('{"a": 1 "b": 2}', '{"a": 1 "b": 2}'),
    ],
)
def test_comments_and_last_commas_are_taken_out_of_settings(text: str, plain: str) -> None:
    assert plain_json(text) == plain


KNOWN = "https://pip-1.invalid/simple"


@pytest.mark.parametrize(
    ("pip", "uv", "says"),
    [
        (None, None, "ignored: V: there is no pip or uv in the image"),
        ("index-url='https://pypi.org'", None, "ignored: V is not known to pip"),
        (f"index-url='{KNOWN}'", None, "known to pip"),
        (f"index-url='{KNOWN}'", f'url = "{KNOWN}"', "known to pip, uv"),
        (f"index-url='{KNOWN}'", "", "V: uv does not know it, pip does"),
        (f"index-url='{KNOWN}/x'", None, f"V: pip has another value: index-url='{KNOWN}/x'"),
        ("index-url='x https://pip-1.invalid'", None, "V: pip has another value: index-url='x https://pip-1.invalid'"),
    ],
)
def test_a_variable_is_implemented_ignored_or_broken(pip: str | None, uv: str | None, says: str) -> None:
    try:
        said = of_tools("V", KNOWN, "pip-1", {"pip": pip, "uv": uv})
    except (AssertionError, pytest.skip.Exception) as error:
        said = str(error)
    assert said == says


# What careless scripts do with a value, and which way of hostility shows it.
CARELESS = {
    "eval": 'eval "x=$VALUE"',
    "eval with double quotes": 'eval "x=\\"$VALUE\\""',
    "eval with single quotes": "eval \"x='$VALUE'\"",
    "sh -c with double quotes": 'sh -c "echo \\"$VALUE\\""',
    "sh -c with single quotes": "sh -c \"echo '$VALUE'\"",
    "a file of variables": "printf 'export X=%s\\n' \"$VALUE\" > rc; . ./rc",
    "a file of variables with double quotes": 'printf \'export X="%s"\\n\' "$VALUE" > rc; . ./rc',
    "a file of variables with single quotes": 'printf "export X=\'%s\'\\n" "$VALUE" > rc; . ./rc',
    "a pipe to a shell": 'echo "echo $VALUE" | bash',
}


@pytest.mark.parametrize("careless", CARELESS)
def test_whatever_a_careless_script_does_a_hostile_value_is_run(careless: str, tmp_path: Path) -> None:
    for way in hostile.WAYS.values():
        script(CARELESS[careless], way("touch ran"), tmp_path)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("way", hostile.WAYS)
def test_a_careful_script_runs_no_hostile_value(way: str, tmp_path: Path) -> None:
    careful = (
        'x="$VALUE"; export X="$x"; printf %s "$VALUE" > file; bash -c \'echo "$1"\' bash "$VALUE"; [[ $VALUE == 1 ]]'
    )
    script(careful, hostile.WAYS[way]("touch ran"), tmp_path)
    assert not (tmp_path / "ran").exists()


def script(code: str, value: str, folder: Path) -> None:
    variables = {"VALUE": value, "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-c", code], cwd=folder, env=variables, capture_output=True, timeout=60)


def test_a_token_that_sed_pastes_is_run(tmp_path: Path) -> None:
    value = hostile.FOR["GIT_PERSONAL_ACCESS_TOKEN"]["quotes"]("touch ran")
    script('sed "s/a/$VALUE@/" <<<a', value, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["ran"]


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region("127.0.0.1")
    yield made
    made.close()


def clone(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["git", "-c", "credential.helper=", *options, "clone", "--quiet", f"--branch={BRANCH}", url, str(folder)]
    environment = {"GIT_TERMINAL_PROMPT": "0", "PATH": "/usr/bin:/bin", "HOME": str(folder.parent)}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)


def test_git_clones_what_a_region_serves(region: Region, tmp_path: Path) -> None:
    site = Site({})
    done = clone(f"{region.add(site)}/open/{PROJECT}.git", tmp_path / "clone")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "branch").read_text() == BRANCH
    checked = subprocess.run(["git", "fsck", "--strict"], cwd=tmp_path / "clone", capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_private_repository_opens_with_the_token_alone(region: Region, tmp_path: Path) -> None:
    site = Site({}, pat="s3cret")
    url = f"{region.add(site)}/private/{PROJECT}.git"
    assert clone(url, tmp_path / "none").returncode != 0
    assert clone(url.replace("//", "//oauth2:other@"), tmp_path / "other").returncode != 0
    assert site.sent == ["oauth2:other"]
    assert clone(url.replace("//", "//s3cret:x-oauth-basic@"), tmp_path / "user").returncode == 0
    assert clone(url.replace("//", "//oauth2:s3cret@"), tmp_path / "password").returncode == 0


def test_what_is_asked_of_a_region_is_told_apart(region: Region, tmp_path: Path) -> None:
    sites = [Site({}), Site({})]
    addresses = [region.add(site) for site in sites]
    clone(f"{addresses[0]}/open/{PROJECT}.git", tmp_path / "clone")
    assert sites[0].asked
    assert not sites[1].asked
    assert clone(f"http://127.0.0.1:{region.port}/{'0' * 16}/open/{PROJECT}.git", tmp_path / "other").returncode != 0
