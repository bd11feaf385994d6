"""The workflows: those that generated repositories hold, and those of this project that they call."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hubtool import config
from tests.templates.conftest import COMBINATIONS, PROJECT, must_be_clean, program
from tests.templates.test_every_template import questions
from tests.templates.workflows import OURS, read, steps


def test_actionlint_finds_nothing(workflows: list[Path], actionlint: Callable[[Sequence[Path]], str]) -> None:
    assert actionlint(workflows) == ""


def test_actionlint_would_find_something(tmp_path: Path, actionlint: Callable[[Sequence[Path]], str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nobody.x }}\n")
    assert 'undefined variable "nobody"' in actionlint([bad])


def test_they_fit_the_schema_of_workflows(workflows: list[Path]) -> None:
    must_be_clean(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *workflows)


def test_zizmor_finds_nothing(repositories: dict[str, Path]) -> None:
    must_be_clean(program("zizmor"), "--offline", "--persona", "regular", PROJECT / ".github", *repositories.values())


def test_yamllint_finds_nothing_in_this_project_s_own(repositories: dict[str, Path]) -> None:
    rules = repositories["defaults"] / ".yamllint.yaml"
    must_be_clean(program("yamllint"), "--strict", "--config-file", rules, PROJECT / ".github")


def test_scripts_in_workflows_pass_shellcheck_and_hold_no_expression(workflows: list[Path], tmp_path: Path) -> None:
    scripts = []
    for number, file in enumerate(workflows):
        for place, step in enumerate(steps(file)):
            if "run" in step:
                assert "${{" not in step["run"], f"{file}: {step['run']}"
                script = tmp_path / f"{number}-{place}.sh"
                script.write_text("#!/bin/bash\nset -eo pipefail\n" + step["run"])
                scripts.append(script)
    assert len(scripts) >= 8
    must_be_clean("shellcheck", *scripts)


def test_every_action_is_pinned_by_commit_and_says_its_version(workflows: list[Path]) -> None:
    for file in workflows:
        for line in re.findall(r"^.*\buses:.*$", file.read_text(), re.MULTILINE):
            ours = re.search(r"uses: \./\.github/workflows/stack-[a-z]+\.yaml  # zizmor: ", line)
            pinned = re.search(r"uses: [^@\s]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line)
            assert pinned or (ours and file.parent == OURS), f"{file}: {line}"
            assert "@" + "0" * 40 not in line


def test_docker_s_credentials_are_kept_out_of_the_workspace(workflows: list[Path]) -> None:
    named = [
        step["env"]["DOCKER_CONFIG"]
        for file in workflows
        for step in steps(file)
        if "DOCKER_CONFIG" in step.get("env", {})
    ]
    assert named
    assert set(named) == {"${{ runner.temp }}/docker"}
    for file in workflows:
        data = read(file)
        assert "DOCKER_CONFIG" not in {
            **data.get("env", {}),
            **{k: v for job in data["jobs"].values() for k, v in job.get("env", {}).items()},
        }


# The job of each workflow that may have credentials.
BUILDS = {
    "image-release.yaml": "release",
    "image-test.yaml": "build",
    "stack-build.yaml": "plan",
    "stack-release.yaml": "release",
    "stack-stage.yaml": "variant",
}


def build_steps(workflow: str, job: str = "") -> dict[str, dict[str, Any]]:
    """The steps of the job that builds, by name or by what they use."""
    found = read(OURS / workflow)["jobs"][job or BUILDS[workflow]]["steps"]
    return {step.get("name") or step["uses"]: step for step in found}


@pytest.mark.parametrize("workflow", BUILDS)
def test_where_there_are_credentials_the_image_s_files_are_in_a_folder_of_their_own(workflow: str) -> None:
    for step in build_steps(workflow).values():
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"] == {"path": "image", "persist-credentials": False}
        assert not re.search(r"hubtool (build|plan|push|release|test)\b(?!.*--root image)", step.get("run", ""))


@pytest.mark.parametrize(
    ("workflow", "job", "least"),
    [
        ("image-test.yaml", "build", 12),
        ("stack-build.yaml", "plan", 9),
        ("stack-stage.yaml", "variant", 9),
        ("stack-test.yaml", "whole", 4),
        ("stack-release.yaml", "release", 9),
    ],
)
def test_steps_that_workflows_have_in_common_are_the_same(workflow: str, job: str, least: int) -> None:
    """One file can't hold them: what a called workflow uses by a path is looked for in the caller's repository."""
    released, other = build_steps("image-release.yaml"), build_steps(workflow, job)
    both = released.keys() & other.keys()
    assert len(both) >= least
    for name in both - {"Build", "Keep logs"}:
        condition = other[name].pop("if", None)
        guarded = f"needs.changes.outputs.push == 'true' && {released[name].get('if')}"
        assert condition in (released[name].pop("if", None), guarded, "needs.changes.outputs.push == 'true'"), name
        assert released[name] == other[name]


def test_jobs_and_inputs_that_the_workflows_of_images_and_of_stacks_have_in_common_are_the_same() -> None:
    for kind in ("test", "release"):
        image, stack = (read(OURS / f"{what}-{kind}.yaml") for what in ("image", "stack"))
        assert image["jobs"]["changes"] == stack["jobs"]["changes"]
        calls = [data["on"]["workflow_call"] for data in (image, stack)]
        assert calls[0]["secrets"] == calls[1]["secrets"]
        assert calls[0]["inputs"].keys() == calls[1]["inputs"].keys()


def test_every_stage_of_a_stack_follows_the_one_before_it_and_has_its_legs() -> None:
    jobs = read(OURS / "stack-build.yaml")["jobs"]
    stages = {name: job for name, job in jobs.items() if name != "plan"}
    assert list(stages) == [f"stage{number}" for number in range(1, 9)]
    for number, (name, job) in enumerate(stages.items(), 1):
        assert job["needs"] == (["plan", f"stage{number - 1}"] if number > 1 else "plan")
        condition = f"!cancelled() && needs.plan.result == 'success' && needs.plan.outputs.{name} != ''"
        assert job["if"] == condition
        assert job["with"]["legs"] == f"${{{{ needs.plan.outputs.{name} }}}}"
        assert {**job["with"], "legs": ""} == {**stages["stage1"]["with"], "legs": ""}
        assert jobs["plan"]["outputs"][name] == (
            f"${{{{ steps.plan.outputs.{name}-empty == 'false' && steps.plan.outputs.{name} || '' }}}}"
        )


def test_a_fork_s_pull_request_has_no_credentials_and_pushes_nothing() -> None:
    data = read(OURS / "image-test.yaml")
    push = " ".join(data["jobs"]["changes"]["outputs"]["push"].split())
    assert "github.event.pull_request.head.repo.full_name == github.repository" in push
    assert " || " not in push
    assert "pull_request_target" not in str(data)
    for name, step in build_steps("image-test.yaml").items():
        text = str({**step, "if": ""})
        if "secrets." in text or "login" in text or "hubtool push" in text:
            assert step["if"].startswith("needs.changes.outputs.push == 'true'"), name


def test_a_fork_s_pull_request_of_a_stack_has_no_credentials_and_pushes_nothing() -> None:
    image, stack = (read(OURS / f"{kind}-test.yaml") for kind in ("image", "stack"))
    assert stack["jobs"]["changes"]["outputs"] == image["jobs"]["changes"]["outputs"]
    assert stack["jobs"]["build"]["if"].endswith(" && needs.changes.outputs.push == 'true'")
    assert stack["jobs"]["whole"]["if"].endswith(" && needs.changes.outputs.push != 'true'")
    for step in stack["jobs"]["whole"]["steps"]:
        assert not re.search(r"secrets\.|login|hubtool push|--cache-write", str(step)), step


def test_permissions_are_none_but_what_a_job_asks_for(workflows: list[Path]) -> None:
    may = {"contents": {"read"}, "id-token": {"write"}}
    for file in workflows:
        data = read(file)
        if "workflow_call" in data["on"] and file.name != "image-lint.yaml":
            # What builds has what the caller grants: the login decides that, and it has no way to ask.
            assert "permissions" not in data
            inherits = {name for name, job in data["jobs"].items() if "permissions" not in job}
            calls = {name for name, job in data["jobs"].items() if "uses" in job}
            assert inherits == calls | ({BUILDS[file.name]} if file.name in BUILDS else set())
        else:
            assert data["permissions"] == {}, file
        for name, job in data["jobs"].items():
            for scope, level in job.get("permissions", {}).items():
                assert level in may.get(scope, set()), f"{file}: {name}: {scope}: {level}"


def test_every_job_that_runs_has_a_time_limit(workflows: list[Path]) -> None:
    for file in workflows:
        assert all("uses" in job or "timeout-minutes" in job for job in read(file)["jobs"].values()), file


def gives_what_is_declared(job: dict[str, Any]) -> dict[str, Any]:
    """The workflow that JOB calls, which takes what it is given."""
    called = read(OURS / Path(job["uses"].partition("@")[0]).name)
    declared = called["on"]["workflow_call"] or {}
    inputs = declared.get("inputs", {})
    assert set(job.get("with", {})) <= set(inputs)
    assert {key for key, value in inputs.items() if value.get("required")} <= set(job.get("with", {}))
    assert set(job.get("secrets", {})) <= set(declared.get("secrets", {}))
    return called


@pytest.mark.parametrize("name", COMBINATIONS)
def test_callers_give_what_the_called_workflow_declares(repositories: dict[str, Path], name: str) -> None:
    for file in (repositories[name] / ".github" / "workflows").iterdir():
        for job in read(file)["jobs"].values():
            called = gives_what_is_declared(job)
            for inner in called["jobs"].values():
                assert inner.get("permissions", {}).items() <= job["permissions"].items()


@pytest.mark.parametrize("workflow", ["stack-build.yaml", "stack-release.yaml", "stack-test.yaml"])
def test_workflows_of_stacks_hand_on_all_that_they_were_given(workflow: str) -> None:
    data = read(OURS / workflow)
    for job in data["jobs"].values():
        if "uses" in job:
            called = gives_what_is_declared(job)["on"]["workflow_call"]
            ours = data["on"]["workflow_call"]
            assert set(called["secrets"]) == set(job["secrets"])
            assert set(called["inputs"]) & set(ours["inputs"]) <= set(job["with"])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_pull_requests_log_in_as_releases_do(repositories: dict[str, Path], name: str) -> None:
    folder = repositories[name] / ".github" / "workflows"
    test, release = (read(folder / f"{kind}.yaml")["jobs"][kind] for kind in ("test", "release"))
    assert test["permissions"] == release["permissions"]
    assert test["with"].items() <= release["with"].items()
    assert test["with"]["registry-login"] in ("gar", "ecr", "password")
    apps = {"github-app", "github-app-key"}
    assert test["secrets"] == {key: value for key, value in release["secrets"].items() if key not in apps}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_weekly_run_finds_an_image_that_is_too_old(repositories: dict[str, Path], name: str) -> None:
    on = read(repositories[name] / ".github" / "workflows" / "release.yaml")["on"]
    settings = config.load(repositories[name], {})
    freshness = settings.freshness_of(next(iter(settings.images)))
    asked = questions(name.partition("/")[0] if "/" in name else "hub-image")["rebuild"]
    assert isinstance(asked, list)
    if COMBINATIONS[name].get("rebuild", asked[0]) == "weekly":
        assert re.fullmatch(r"\d+ \d+ \* \* 1", on["schedule"][0]["cron"])
        assert freshness is not None
        assert freshness <= datetime.timedelta(days=6.9)
    else:
        assert "schedule" not in on
        assert freshness is None


@pytest.mark.parametrize(
    ("name", "login", "bumps"),
    [
        ("defaults", "gar", "my-org/my-org-hubs"),
        ("conda-r-everything", "gar", "my-org/my-org-hubs"),
        ("numbers-as-names", "gar", "my-org/my-org-hubs"),
        ("uv-r-ecr", "ecr", "my-org/hubs"),
        ("harbor-other-git", "password", None),
        ("loopback-local-path", "password", None),
        ("no-hub-quay", "password", None),
    ],
)
def test_the_registry_decides_the_login_and_github_the_bump(
    repositories: dict[str, Path], name: str, login: str, bumps: str | None
) -> None:
    job = read(repositories[name] / ".github" / "workflows" / "release.yaml")["jobs"]["release"]
    given, secrets = job["with"], job["secrets"]
    assert given["registry-login"] == login
    keyless = {"id-token": "write"} if login != "password" else {}
    assert job["permissions"] == {"contents": "read", **keyless}
    assert ("google-provider" in secrets, "aws-role" in secrets) == (login == "gar", login == "ecr")
    assert ("registry-password" in secrets) == (login == "password")
    owner = f"{given['deployment-owner']}/{given['deployment-name']}" if "deployment-owner" in given else None
    assert owner == bumps
    assert ("github-app-key" in secrets) == (bumps is not None)


def test_the_version_beside_the_commit_is_hubtool_s() -> None:
    import json

    from hubtool import __version__

    context = json.loads((PROJECT / "cookiecutter-template/hub-image/cookiecutter.json").read_text())
    assert context["_hubtool_version"] == __version__


def commands(text: str) -> set[tuple[str, str]]:
    """Every verb and option of a `hubtool …` command line in TEXT."""
    found = set()
    for verb, rest in re.findall(r"(?:^|`|&& )\s*hubtool ([a-z]+)\b([^`#&\n]*)", text, re.MULTILINE):
        found |= {(verb, option) for option in re.findall(r"(?<=[\s+])--[a-z-]+", rest) or [""]}
    return found


def test_hubtool_has_every_verb_and_option_that_repositories_use(
    workflows: list[Path], repositories: dict[str, Path]
) -> None:
    import typer

    from hubtool.main import app

    verbs: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {(verb, option) for verb in verbs for param in verbs[verb].params for option in ["", *param.opts]}
    scripts = "\n".join(step["run"] for file in workflows for step in steps(file) if "run" in step)
    pages = "\n".join(page.read_text() for root in repositories.values() for page in root.glob("*.md"))
    used = commands(scripts) | commands(pages)
    assert used <= known
    assert {
        ("push", "--check"),
        ("push", "--staged"),
        ("build", "--cache-write"),
        ("test", "--junit"),
        ("build", "--engine"),
    } <= used
