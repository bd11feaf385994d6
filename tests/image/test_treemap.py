"""The page that shows where the space goes: its geometry, its text, and what a browser makes of it."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, sync_playwright

from hubtool.image.inventory import Inventory
from hubtool.image.packages import Package
from hubtool.image.treemap import Rect, items_of, page, squarify

MB = 1_000_000
HOSTILE = "</title></svg><script>document.title='broken'</script>\"'&"


def inventory_of(count: int = 200) -> Inventory:
    """Of many packages whose sizes fall as they do in an image, one of them with a hostile name."""
    kinds = ("conda", "pypi", "dpkg", "r", "npm", "jupyter")
    packages = [Package(kinds[i % 6], f"package-{i}", f"{i}.0", "srv/x" * (i % 6 > 0)) for i in range(count)]
    packages.append(Package("pypi", HOSTILE, HOSTILE, HOSTILE))
    sizes = {package.key: 90 * MB // (i + 1) for i, package in enumerate(packages)}
    sizes[packages[-1].key] = 60 * MB
    return Inventory(tuple(sorted(packages)), sizes, {"srv": 30 * MB, "/": 5})


SIZES = st.lists(st.integers(1, 10**12), max_size=60).map(lambda sizes: sorted(sizes, reverse=True))
AREAS = st.builds(Rect, *[st.floats(0, 100)] * 2, *[st.floats(1, 2000)] * 2)


@given(SIZES, AREAS)
def test_every_size_has_its_share_of_the_area_and_none_is_outside(sizes: list[int], area: Rect) -> None:
    rects = squarify(sizes, area)
    assert len(rects) == len(sizes)
    whole = area.width * area.height
    for size, rect in zip(sizes, rects, strict=True):
        assert math.isclose(rect.width * rect.height, whole * size / sum(sizes), rel_tol=1e-3, abs_tol=whole * 1e-6)
        assert rect.x >= area.x - 1e-6
        assert rect.y >= area.y - 1e-6
        assert rect.x + rect.width <= area.x + area.width + 1e-6
        assert rect.y + rect.height <= area.y + area.height + 1e-6


@given(SIZES.filter(lambda sizes: len(sizes) < 25), AREAS)
def test_no_two_rectangles_overlap(sizes: list[int], area: Rect) -> None:
    rects = squarify(sizes, area)
    for number, a in enumerate(rects):
        for b in rects[:number]:
            wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            high = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert min(wide, high) < 1e-6 * max(area.width, area.height)


def test_the_rectangles_of_the_paper_are_as_square_as_there() -> None:
    rects = squarify([6, 6, 4, 3, 2, 2, 1], Rect(0, 0, 6, 4))
    ratios = [max(r.width / r.height, r.height / r.width) for r in rects]
    assert [round(ratio, 2) for ratio in ratios] == [1.5, 1.5, 1.36, 1.81, 1.39, 1.39, 2.78]
    assert rects[0] == Rect(0, 0, 3, 2)


class Rows(HTMLParser):
    """The texts of the table, and every address that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_the_table_has_everything_biggest_first_and_the_page_names_no_address() -> None:
    inventory = inventory_of()
    text = page(inventory, "hub:1")
    found = Rows()
    found.feed(text)
    assert found.addresses == []
    assert "http" not in text.replace("http-equiv", "")
    assert len(found.rows) == 1 + len(inventory.packages) + len(inventory.rest)
    assert found.rows[1][:1] + found.rows[1][-1:] == ["package-0", "90 MB"]
    assert [HOSTILE, HOSTILE, "pypi", HOSTILE, "60 MB"] in found.rows
    assert [item.size for item in items_of(inventory)] == sorted(
        (item.size for item in items_of(inventory)), reverse=True
    )


@pytest.mark.parametrize("inventory", [Inventory((), {}, {}), Inventory((Package("r", "\ud800\0", "", ""),), {}, {})])
def test_a_page_of_nothing_or_of_odd_names_is_a_page(inventory: Inventory) -> None:
    assert page(inventory, "\ud800").encode().count(b"<g ") == 0


def test_ten_thousand_packages_are_a_page_of_few_rectangles() -> None:
    packages = tuple(sorted(Package("npm", f"p{i}", "1", "") for i in range(10_000)))
    text = page(Inventory(packages, {p.key: 1 + 10**9 * (p.name == "p7") for p in packages}, {}), "many")
    assert text.count("<rect") == 2
    assert "9999 smaller" in text


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium; script/setup test installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page, in a window; it may ask for nothing, and nothing may go wrong in it."""
    file = tmp_path / "page.html"
    file.write_text(page(inventory_of(), "hub:1", [("installed", "1.5 GB")]), encoding="utf-8")
    window = browser.new_page(viewport={"width": 1200, "height": 900})
    problems: list[str] = []
    asked: list[str] = []
    window.on("pageerror", lambda error: problems.append(str(error)))
    window.on("console", lambda message: problems.append(message.text))
    window.on("request", lambda request: asked.append(request.url))
    window.goto(file.as_uri())
    yield window
    window.close()
    assert problems == []
    assert asked == [file.as_uri()]


def test_a_browser_draws_the_packages_by_size_and_runs_nothing_of_their_names(shown: Page) -> None:
    assert shown.title() == "hub:1"
    assert shown.locator("h1").inner_text() == "hub:1"
    area = shown.locator("#map").bounding_box()
    box = shown.locator("g.conda rect").first.bounding_box()
    assert area is not None
    assert box is not None
    total = sum(item.size for item in items_of(inventory_of()))
    assert math.isclose(box["width"] * box["height"] / (area["width"] * area["height"]), 90 * MB / total, rel_tol=0.02)
    assert shown.get_by_text("package-0", exact=True).first.is_visible()


def test_a_click_shows_one_group_and_another_one_all(shown: Page) -> None:
    whole = shown.locator("#map").bounding_box()
    assert whole is not None
    shown.get_by_role("button", name=re.compile("^npm")).click()
    assert shown.locator("#map g:visible").count() == 1
    boxes = [box for box in (cell.bounding_box() for cell in shown.locator("g.npm rect").all()) if box]
    area = sum(box["width"] * box["height"] for box in boxes)
    assert math.isclose(area, whole["width"] * whole["height"], rel_tol=0.02)
    shown.keyboard.press("Escape")
    assert shown.locator("#map g:visible").count() == 7
    shown.locator("g.dpkg svg").first.click()
    assert shown.get_by_role("button", pressed=True).inner_text().startswith("dpkg")
    shown.locator("g.dpkg svg").first.click()
    assert shown.get_by_role("button", pressed=True).inner_text().startswith("all")


def test_pointing_at_a_package_tells_of_it_and_the_table_is_searched(shown: Page) -> None:
    shown.locator("g.conda svg").first.hover()
    assert shown.locator("#tip").inner_text() == "package-0 0.0, 90 MB (conda)"
    shown.get_by_label("Show").fill("PACKAGE-19")
    assert shown.locator("tbody tr:visible").count() == 11
