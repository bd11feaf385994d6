"""Charts: whose version is raised, exactly that, and an appVersion that is an image's tag."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins import Pin
from hubtool.pins.charts import Policy, chart_of, raise_version, wants_version, with_versions
from hubtool.pins.choose import choose
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.app_versions import app_version_pins, chart_images
from hubtool.pins.finders.find import find_pins
from hubtool.pins.scan import Change, move
from hubtool.reference import ImageReference
from tests.pins.corpus import CORPUS, needs_corpus

FILE = "charts/c/Chart.yaml"
NOTHING: dict[str, bytes] = {}
IMAGE = "harbor.example.org/library/desktop"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version: 1.2.3", "version: 1.2.4"),
        ("version: 0.2.9", "version: 0.2.10"),
        ("version: 10.20.99", "version: 10.20.100"),
        ('version: "1.2.3"', 'version: "1.2.4"'),
        ("version: '1.2.3'  # keep 1.2.3", "version: '1.2.4'  # keep 1.2.3"),
        ("appVersion: 1.2.3\nversion:   1.2.3\t# c\n", "appVersion: 1.2.3\nversion:   1.2.4\t# c\n"),
        ("dependencies:\n- {version: 1.2.3}\nversion: 1.2.3\n", "dependencies:\n- {version: 1.2.3}\nversion: 1.2.4\n"),
        ("{name: c, version: 1.2.3}", "{name: c, version: 1.2.4}"),
        ("# é\r\nversion: 1.2.3\r\n", "# é\r\nversion: 1.2.4\r\n"),
        ("\ufeffversion: 1.2.3\n", "\ufeffversion: 1.2.4\n"),
        ("--- # c\nversion: 1.2.3\n...\n", "--- # c\nversion: 1.2.4\n...\n"),
        ("name: '{{ x }}'\nversion: 1.2.3\n", "name: '{{ x }}'\nversion: 1.2.4\n"),
        ("version: &v 1.2.3\n", "version: &v 1.2.4\n"),
        ("? version\n: 1.2.3\n", "? version\n: 1.2.4\n"),
    ],
)
def test_a_version_is_raised_by_one_patch_and_nothing_else_changes(before: str, after: str) -> None:
    assert raise_version(before.encode(), FILE) == after.encode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: c\n", "Chart.yaml:1: version: missing"),
        ("name: c\nversion: 1.2\n", "Chart.yaml:2: version: '1.2' is no MAJOR.MINOR.PATCH"),
        ("version: 1.2.3.4", "is no MAJOR.MINOR.PATCH"),
        ("version: v1.2.3", "is no MAJOR.MINOR.PATCH"),
        ("version: 01.2.3", "is no MAJOR.MINOR.PATCH"),
        ("version: 1.2.3-beta.1", "'1.2.3-beta.1' is a pre-release"),
        ("version: 1.2.3+build5", "'1.2.3+build5' is a version with build metadata"),
        ("version: " + "9" * 5000 + ".1.1", "is no MAJOR.MINOR.PATCH"),
        ("version: latest", "'latest' is no MAJOR.MINOR.PATCH"),
        ("version: ''", "'' is no MAJOR.MINOR.PATCH"),
        ("version:", "version: missing"),
        ("version: ~", "'~' is no MAJOR.MINOR.PATCH"),
        ("version: [1.2.3]", "version: is not a text"),
        ("version: !v 1.2.3", "has the YAML tag !v"),
        ('version: "1.2.\\x33"', "is written with escapes"),
        ("version: |\n  1.2.3\n", "is written with escapes"),
        ("version: 1.2.3\nversion: 1.2.4\n", "version: stands twice"),
        ("version: &v 1.2.3\nappVersion: *v\n", "is an anchor that something else uses too"),
        ("appVersion: &v 1.2.3\nversion: *v\n", "is an anchor that something else uses too"),
        ("version: {{ version }}", "version: is not a text"),
        ("version: {{ version }}.1\n", "version: is a template's placeholder"),
        ("version: '{{ version }}'\n", "is a template's placeholder"),
        ("- version: 1.2.3\n", "is not a chart"),
        ("", "is not a chart"),
        ("version: 1.2.3\n---\nversion: 1.2.3\n", "is not a chart"),
        ("version: [", "Chart.yaml: is not YAML"),
        ("\0", "Chart.yaml: is binary"),
    ],
)
def test_a_version_that_can_not_be_raised_is_one_clear_error(text: str, reason: str) -> None:
    with pytest.raises(HubtoolError, match=re.escape(reason)) as error:
        raise_version(text.encode(), FILE)
    assert error.value.where is not None
    assert error.value.where.file == FILE


VERSIONS = st.from_regex(r"\A(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\Z")
LINES = st.lists(
    st.sampled_from(["# 1.2.3", "name: c", "appVersion: '3.14'", "dependencies:\n  - version: 1.2.3", "", "é: ü  # x"]),
    max_size=5,
    unique=True,
)


@settings(max_examples=150, deadline=None)
@given(VERSIONS, LINES, LINES, st.sampled_from(["", "'", '"']), st.sampled_from(["\n", "\r\n"]))
def test_for_any_chart_only_the_patch_number_differs(
    version: str, above: list[str], below: list[str], quote: str, end: str
) -> None:
    below = [line for line in below if line not in above or not line]
    text = end.join([*above, f"version: {quote}{version}{quote}", *below]).replace("\r\n", "\n").replace("\n", end)
    after = raise_version(text.encode(), FILE).decode()
    major, minor, patch = version.split(".")
    raised = f"{major}.{minor}.{int(patch) + 1}"
    assert after == text.replace(f"version: {quote}{version}{quote}", f"version: {quote}{raised}{quote}")
    assert yaml.safe_load(after) == {**yaml.safe_load(text), "version": raised}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('appVersion: "3.14"', 'appVersion: "3.10"'),
        ("appVersion: '3.14'  # tag", "appVersion: '3.10'  # tag"),
        ("appVersion: 3.14", 'appVersion: "3.10"'),
        ("appVersion: latest\r\n", 'appVersion: "3.10"\r\n'),
        ("appVersion: 2026-06-29", 'appVersion: "3.10"'),
        ('appVersion: ""', 'appVersion: "3.10"'),
        ("{version: 3.14, appVersion: 3.14}", '{version: 3.14, appVersion: "3.10"}'),
    ],
)
def test_an_app_version_moves_and_is_a_text_afterwards(before: str, after: str) -> None:
    data = before.encode()
    (pin,) = app_version_pins(data, FILE, IMAGE)
    assert (pin.image, pin.path, pin.form, pin.editable) == (IMAGE, "appVersion", "app-version", True)
    assert move_pins(data, [pin], "3.10") == after.encode()
    assert yaml.safe_load(after)["appVersion"] == "3.10"


def test_even_a_tag_that_is_plainly_a_text_gets_quotes() -> None:
    data = b"appVersion: 3.14\n"
    assert move_pins(data, app_version_pins(data, FILE, IMAGE), "v3a") == b'appVersion: "v3a"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: c", "has no appVersion"),
        ("appVersion:", "has no tag"),
        ("appVersion: ~", "has no tag"),
        ("appVersion: a b", "is not a tag"),
        ("appVersion: '{{ x }}'", "is a template's placeholder"),
        ("appVersion: {{ x }}", "is not a text"),
        ("appVersion: {{ x }}.1", "is a template's placeholder"),
        ('appVersion: "\\x33"', "is written with escapes or over several lines"),
        ("appVersion: {}", "is not a text"),
        ("appVersion: '1'\nappVersion: '2'", "stands twice"),
        ("version: &v 1.2.3\nappVersion: *v\n", "is an anchor that something else uses too"),
        ("appVersion: !x '1'", "has the YAML tag !x"),
    ],
)
def test_an_app_version_that_can_not_be_moved_is_listed_with_the_reason(text: str, why: str) -> None:
    (pin,) = app_version_pins(text.encode(), FILE, IMAGE)
    assert (pin.editable, pin.why) == (False, why)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "\0", "a: 1\n---\nb: 2\n"])
def test_what_is_no_chart_is_one_clear_error(text: str) -> None:
    with pytest.raises(HubtoolError, match=re.escape(FILE)):
        app_version_pins(text.encode(), FILE, IMAGE)


def test_charts_of_hubtool_yaml_are_found_by_their_folder() -> None:
    files = ["Chart.yaml", "charts/c/Chart.yaml", "charts/d/values.yaml"]
    charts = {".": "a/b", "charts/c/": "quay.io/a/c"}
    assert chart_images(charts, files) == {"Chart.yaml": "a/b", "charts/c/Chart.yaml": "quay.io/a/c"}


@pytest.mark.parametrize(
    ("folder", "image", "reason"),
    [
        ("charts/d", "a/b", "no charts/d/Chart.yaml in the deployment repository"),
        ("../c", "a/b", "leads outside"),
        ("/c", "a/b", "leads outside"),
        ("..", "a/b", "leads outside"),
        ("charts/c", "A B", "is not an image reference"),
        ("charts/c", "a/b:3.14", "the chart's appVersion is the tag"),
    ],
)
def test_a_chart_that_hubtool_yaml_names_wrongly_is_one_clear_error(folder: str, image: str, reason: str) -> None:
    with pytest.raises(HubtoolError, match=f"hubtool.yaml: deployment.charts.{re.escape(folder)}: .*{reason}"):
        chart_images({folder: image}, ["charts/c/Chart.yaml"])


FILES = frozenset(
    ["Chart.yaml", "values.yaml", "charts/c/Chart.yaml", "charts/c/values.yaml", "charts/c/charts/sub/Chart.yaml",
     "hubs/Chart.yaml", "hubs/values.yaml", "other/Chart.yaml", "other/x/Chart.yaml", "other/x/values.schema.json"]
)  # fmt: skip
NO_ROOT = FILES - {"Chart.yaml"}


@pytest.mark.parametrize(
    ("file", "files", "chart"),
    [
        ("charts/c/values.yaml", NO_ROOT, "charts/c/Chart.yaml"),
        ("charts/c/values-prod.yml", NO_ROOT, "charts/c/Chart.yaml"),
        ("charts/c/values.schema.json", NO_ROOT, "charts/c/Chart.yaml"),
        ("charts/c/Chart.yaml", NO_ROOT, "charts/c/Chart.yaml"),
        ("charts/c/prod/values.yaml", NO_ROOT, "charts/c/Chart.yaml"),
        ("other/x/values.schema.json", NO_ROOT, "other/x/Chart.yaml"),
        ("values.yaml", FILES, "Chart.yaml"),
        ("charts/c/README.md", NO_ROOT, None),
        ("charts/c/templates/deployment.yaml", NO_ROOT, None),
        ("charts/c/common.yaml", NO_ROOT, None),
        ("charts/c/charts/sub/values.yaml", NO_ROOT, None),
        ("charts/c/charts/sub/Chart.yaml", NO_ROOT, None),
        ("charts/c/charts/values.yaml", NO_ROOT, None),
        ("charts/c/values.yaml", FILES, None),
        ("charts/d/values.yaml", NO_ROOT, None),
        ("utils/charts-inheritance.yaml", NO_ROOT, None),
    ],
)
def test_a_file_is_of_the_chart_beside_or_above_it(file: str, files: frozenset[str], chart: str | None) -> None:
    assert chart_of(file, files) == chart


@pytest.mark.parametrize(
    ("chart", "policy", "moved", "wanted"),
    [
        ("charts/c/Chart.yaml", "auto", False, True),
        ("deep/charts/c/Chart.yaml", "auto", False, True),
        ("Chart.yaml", "auto", False, True),
        ("other/x/Chart.yaml", "auto", False, True),
        ("hubs/Chart.yaml", "auto", False, False),
        ("hubs/Chart.yaml", "auto", True, True),
        ("hubs/Chart.yaml", "always", False, True),
        ("charts/c/Chart.yaml", "never", False, False),
        ("charts/c/Chart.yaml", "never", True, False),
        ("charts/Chart.yaml", "auto", False, False),
    ],
)
def test_a_version_is_raised_where_charts_are_published(chart: str, policy: Policy, moved: bool, wanted: bool) -> None:
    assert wants_version(chart, FILES, policy, moved) is wanted


CHART = b"name: c\nversion: 1.2.3\nappVersion: 3.14  # tag\n"
VALUES = b"image: r/i:T\n"


def edits(files: dict[str, bytes], *, policy: Policy = "auto") -> list[Change]:
    """What moving r/i and IMAGE to U changes in FILES."""
    pins: list[Pin] = []
    for file, data in files.items():
        pins += app_version_pins(data, file, IMAGE) if file.endswith("Chart.yaml") else find_pins(data, file)
    return with_versions(move(files, [pin for pin in pins if pin.tag != "U"], "U"), files, files.__getitem__, policy)


def test_a_charts_version_is_raised_with_its_values() -> None:
    files = {"charts/c/values.yaml": VALUES, "charts/c/values.schema.json": b'{"default": {"image": "r/i:T"}}'}
    read = {**files, "charts/c/Chart.yaml": CHART, "charts/d/Chart.yaml": CHART}
    pins = [pin for file, data in files.items() for pin in find_pins(data, file)]
    changes = with_versions(move(read, pins, "U"), read, read.__getitem__, "auto")
    assert [(change.file, change.note) for change in changes] == [
        ("charts/c/Chart.yaml", "version 1.2.3 → 1.2.4"),
        ("charts/c/values.schema.json", ""),
        ("charts/c/values.yaml", ""),
    ]
    assert changes[0].before == CHART
    assert changes[0].after == CHART.replace(b"1.2.3", b"1.2.4")
    assert changes[0].pins == ()


def test_an_app_version_and_the_version_are_one_change() -> None:
    (change,) = edits({"hub/Chart.yaml": CHART})
    assert change.before == CHART
    assert change.after == b'name: c\nversion: 1.2.4\nappVersion: "U"  # tag\n'
    assert (change.note, [pin.form for pin in change.pins]) == ("version 1.2.3 → 1.2.4", ["app-version"])


def test_both_of_one_chart_raise_it_once() -> None:
    changes = edits({"charts/c/Chart.yaml": CHART, "charts/c/values.yaml": VALUES})
    assert [change.file for change in changes] == ["charts/c/Chart.yaml", "charts/c/values.yaml"]
    assert changes[0].after.startswith(b"name: c\nversion: 1.2.4\n")


@pytest.mark.parametrize("policy", ["auto", "always", "never"])
def test_where_nothing_changes_no_version_is_raised(policy: Policy) -> None:
    assert edits({"charts/c/Chart.yaml": b"version: 1.2.3\nappVersion: U\n"}, policy=policy) == []
    assert with_versions([], ["charts/c/Chart.yaml"], NOTHING.__getitem__, policy) == []


def test_a_hub_that_is_no_published_chart_keeps_its_version() -> None:
    change = Change("hubs/values.yaml", b"", b"x", ())
    assert with_versions([change], ["hubs/Chart.yaml", "hubs/values.yaml"], NOTHING.__getitem__, "auto") == [change]


def test_a_chart_whose_version_can_not_be_raised_stops_the_run() -> None:
    files = {"charts/c/Chart.yaml": b"version: 1.2.3-rc1\n", "charts/c/values.yaml": VALUES}
    moved = move(files, find_pins(VALUES, "charts/c/values.yaml"), "U")
    with pytest.raises(HubtoolError, match=r"(?s)charts/c/Chart\.yaml:1: version: .*chart_version: never"):
        with_versions(moved, files, files.__getitem__, "auto")


@needs_corpus
def test_a_real_chart_of_which_the_app_version_is_the_tag() -> None:
    file = "desktop-tensorflow/Chart.yaml"
    data = (CORPUS / "chaimeleon" / file).read_bytes()
    image = "harbor.example.org/chaimeleon-library/ubuntu-python-tensorflow-desktop"
    pins = app_version_pins(data, file, chart_images({"desktop-tensorflow": image}, [file])[file])
    assert [(pin.image, pin.tag, pin.line) for pin in pins] == [(image, "3.14", 15)]
    choice = choose(pins, ImageReference.parse(image), "3.20")
    (change,) = with_versions(move({file: data}, choice.moving, "3.20"), [file], NOTHING.__getitem__, "auto")
    wanted = data.replace(b'"2.2.8"', b'"2.2.9"').replace(b'"3.14"', b'"3.20"')
    assert change.after == wanted


@needs_corpus
@pytest.mark.parametrize(("chart", "version"), [("vscode-python", b"2.6.3"), ("premyom-code-server", b"0.2.52")])
def test_a_real_charts_version_is_raised_and_not_its_dependencies(chart: str, version: bytes) -> None:
    data = (CORPUS / "onyxia" / "charts" / chart / "Chart.yaml").read_bytes()
    after = raise_version(data, f"charts/{chart}/Chart.yaml")
    pairs = zip(data.split(b"\n"), after.split(b"\n"), strict=True)
    assert [new for old, new in pairs if old != new] == [b"version: " + version]
