"""hubtool new: an image repository from a template, rendered by cookiecutter."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hubtool.console import result, say
from hubtool.errors import HubtoolError

Answers = dict[str, str]
Problems = Callable[[Answers], list[str]]

PACKAGE = Path(__file__).resolve().parent.parent
CHOOSER = "cookiecutter.json"


def new(directory: Path, *, template: str, settings: Sequence[str], no_input: bool) -> None:
    """Create an image repository at DIRECTORY; its name is the image's unless SETTINGS say otherwise.

    SETTINGS are KEY=VALUE answers to the template's questions; the rest is asked, or with NO_INPUT taken
    from the template's defaults. Raises HubtoolError for a folder that is not empty, an unknown template or
    question, or an answer that won't do; DIRECTORY is then as it was.
    """
    target = Path(os.path.abspath(directory))
    _must_be_free(target, directory)
    source = find_template(template)
    questions = _questions(source)
    given = {"repository_name": target.name, **_parse(settings, questions)}
    check = _load_checks(source)
    _raise_for(check(given))
    answers = _answer_all(source, questions, given, check, ask=not no_input)
    _raise_for(check(answers))
    _render(source, answers, target)
    result(str(directory))
    say(_next_steps(directory))


def find_template(kind: str) -> Path:
    """The folder of the template called KIND; raises HubtoolError that names the nearest where there is none."""
    root = _templates_root()
    kinds = json.loads((root / CHOOSER).read_text(encoding="utf-8"))["templates"]
    if kind not in kinds:
        raise HubtoolError(f"no template called '{kind}'", hint=_nearest(kind, list(kinds), "templates"))
    folder: str = kinds[kind]["path"]
    return (root / folder).resolve()


def _templates_root() -> Path:
    """Where the templates are: inside an installed hubtool, else in the checkout it runs from."""
    for root in (PACKAGE / "_templates", PACKAGE.parent):
        if (root / CHOOSER).is_file():
            return root
    raise HubtoolError(
        "this hubtool came without its templates", hint="reinstall it: pip install --force-reinstall hubtool"
    )


def _must_be_free(target: Path, shown: Path) -> None:
    try:
        if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            raise HubtoolError(
                f"{shown} exists and is not an empty folder", hint="choose another name, or move it away"
            )
    except OSError as error:
        raise HubtoolError(f"{shown} cannot be created: {error.strerror}") from error


def _questions(source: Path) -> dict[str, Any]:
    """The template's questions with their defaults; a list holds the choices, first the default."""
    context = json.loads((source / CHOOSER).read_text(encoding="utf-8"))
    return {key: default for key, default in context.items() if not key.startswith("_")}


def _parse(settings: Sequence[str], questions: Mapping[str, Any]) -> Answers:
    answers: Answers = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise HubtoolError(f"--set {setting}: expected KEY=VALUE", hint="questions: " + ", ".join(questions))
        if key not in questions:
            raise HubtoolError(f"--set {key}: no such question", hint=_nearest(key, list(questions), "questions"))
        choices = questions[key]
        if isinstance(choices, list) and value not in choices:
            raise HubtoolError(f"{key}: '{value}' is not one of: {', '.join(choices)}")
        answers[key] = value
    return answers


def _nearest(word: str, known: list[str], what: str) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return (f"did you mean '{close[0]}'? " if close else "") + f"{what}: " + ", ".join(known)


def _load_checks(source: Path) -> Problems:
    """The templates' own checks of answers: function ``problems`` of what their hooks use."""
    file = source.parent / "common" / "answers.py"
    spec = importlib.util.spec_from_file_location("hubtool_template_checks", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    problems: Problems = module.problems
    return problems


def _raise_for(problems: Sequence[str]) -> None:
    if problems:
        raise HubtoolError("\n".join(problems), hint="answer again with --set KEY=VALUE")


def _answer_all(source: Path, questions: Mapping[str, Any], given: Answers, check: Problems, ask: bool) -> Answers:
    """An answer to every question: GIVEN, else what is typed until it will do, else the template's default."""
    from cookiecutter.prompt import create_env_with_context, read_user_choice, read_user_variable, render_variable  # type: ignore[import-untyped]

    context = json.loads((source / CHOOSER).read_text(encoding="utf-8"))
    env = create_env_with_context({"cookiecutter": context})
    prompts = context["__prompts__"]
    answers: Answers = {}
    for key, raw in questions.items():
        if key in given:
            answers[key] = given[key]
        elif isinstance(raw, list):
            answers[key] = _typed(read_user_choice, key, raw, prompts) if ask else raw[0]
        else:
            answers[key] = render_variable(env, raw, answers)
            while ask:
                answer = _typed(read_user_variable, key, answers[key], prompts)
                found = check({**answers, key: answer})
                if not found:
                    answers[key] = answer
                    break
                say("\n".join(found))
    return answers


def _typed(read: Callable[..., str], *words: Any) -> str:
    try:
        return read(*words)
    except EOFError as error:
        raise HubtoolError(
            "no answer to be read", hint="--no-input takes the defaults, --set KEY=VALUE answers"
        ) from error


def _render(source: Path, answers: Answers, target: Path) -> None:
    """Render into a folder beside TARGET, and rename when it is whole."""
    beside = next(folder for folder in target.parents if folder.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".hubtool-new-", dir=beside) as staging:
            rendered = _cookiecutter(source, answers, Path(staging))
            _settle(rendered, target)
    except OSError as error:
        raise HubtoolError(f"{target} cannot be created: {error.strerror or error}") from error


def _settle(rendered: Path, target: Path) -> None:
    if target == Path.cwd():
        # Replacing the folder would leave the person's shell in one that is gone.
        for child in sorted(rendered.iterdir()):
            child.rename(target / child.name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    rendered.rename(target)


def _cookiecutter(source: Path, answers: Answers, staging: Path) -> Path:
    from cookiecutter.exceptions import CookiecutterException  # type: ignore[import-untyped]
    from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]

    # A configuration of our own: nothing is read from, or left in, the home directory.
    settings = staging / "cookiecutter.yaml"
    settings.write_text(
        json.dumps({"replay_dir": str(staging / "replay"), "cookiecutters_dir": str(staging / "clones")})
    )
    (staging / "out").mkdir()
    try:
        folder = cookiecutter(
            str(source),
            no_input=True,
            extra_context=dict(answers),
            output_dir=str(staging / "out"),
            config_file=str(settings),
        )
    except CookiecutterException as error:
        raise HubtoolError(f"the template could not be rendered: {error}") from error
    return Path(folder)


def _next_steps(directory: Path) -> str:
    return (
        f"next: cd {directory}; git init --initial-branch main; git add .; git commit --message 'The image';"
        " hubtool build; hubtool test\nREADME.md says what to set up on GitHub"
    )
