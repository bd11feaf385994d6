"""A browser, and where the server is. CONTRIBUTING.md says how to run these tests."""

import os

import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def server():
    """Address of a running server that asks for no token."""
    return os.environ.get("JUPYTER_URL", "http://127.0.0.1:8888").rstrip("/")


@pytest.fixture
def page():
    # A Chromium that is there already may be named; without one Playwright's own is taken.
    program = os.environ.get("CHROMIUM")
    arguments = ["--no-sandbox"] if program else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()
