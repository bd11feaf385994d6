"""What holds for the repositories of every template."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hubtool import config
from tests.templates.conftest import COMBINATIONS, PROJECT, TEMPLATES, must_be_clean, program
from tests.templates.test_hub_image import files_of

CHOICES = json.loads((PROJECT / "cookiecutter.json").read_text())["templates"]


def questions(kind: str) -> dict[str, object]:
    """What cookiecutter.json of the template KIND says."""
    return dict(json.loads((PROJECT / CHOICES[kind]["path"] / "cookiecutter.json").read_text()))


def test_the_chooser_offers_every_template() -> None:
    folders = {path.parent.name for path in (PROJECT / "cookiecutter-template").glob("*/cookiecutter.json")}
    assert set(CHOICES) == folders == set(TEMPLATES)
    assert all(entry["path"] == f"./cookiecutter-template/{kind}" for kind, entry in CHOICES.items())


def test_templates_share_their_hooks_and_what_they_derive_from_answers() -> None:
    first = questions("hub-image")
    hook = (PROJECT / CHOICES["hub-image"]["path"] / "hooks/pre_gen_project.py").read_text()
    for kind in CHOICES:
        assert (PROJECT / CHOICES[kind]["path"] / "hooks/pre_gen_project.py").read_text() == hook
        shared = {key: value for key, value in questions(kind).items() if key.startswith("_") and key in first}
        different = {key for key, value in shared.items() if value != first[key]}
        assert different <= {"__prompts__", "__reference", "_workflows"}, kind


@pytest.mark.parametrize("name", COMBINATIONS)
def test_hubtool_reads_the_repository_s_hubtool_yaml(repositories: dict[str, Path], name: str) -> None:
    assert config.load(repositories[name], {}).images


@pytest.mark.parametrize("name", COMBINATIONS)
def test_nothing_of_the_template_language_is_left(repositories: dict[str, Path], name: str) -> None:
    for file in files_of(repositories[name]):
        text = (repositories[name] / file).read_text()
        assert "cookiecutter" not in text, file
        assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), file
        assert text[-1] == "\n" != text[-2], file
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), file


def test_the_schema_that_editors_read_is_the_one_of_hubtool(repositories: dict[str, Path]) -> None:
    first = (repositories["defaults"] / "hubtool.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={config.SCHEMA_ID}"


def test_codeowners_names_those_who_were_answered(repositories: dict[str, Path]) -> None:
    assert (
        repositories["conda-r-everything"] / ".github" / "CODEOWNERS"
    ).read_text() == "* @my-org/image-team @octocat\n"


def test_every_yaml_file_passes_the_repository_s_own_yamllint(repositories: dict[str, Path]) -> None:
    for root in repositories.values():
        must_be_clean(program("yamllint"), "--strict", ".", cwd=root)


def test_dependabot_s_file_fits_its_schema(repositories: dict[str, Path]) -> None:
    files = [root / ".github" / "dependabot.yml" for root in repositories.values()]
    must_be_clean(program("check-jsonschema"), "--builtin-schema", "vendor.dependabot", *files)


def test_the_links_between_the_repository_s_pages_lead_somewhere(repositories: dict[str, Path]) -> None:
    for root in repositories.values():
        for page in root.glob("*.md"):
            for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
                assert (root / target).exists(), f"{page.name}: {target}"


def test_no_file_hands_a_program_a_folder_literally_called_home(repositories: dict[str, Path]) -> None:
    for root in repositories.values():
        for file in (root / ".github").rglob("*"):
            assert not file.is_file() or "$HOME" not in file.read_text()
