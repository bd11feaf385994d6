"""What a user sees first."""

from playwright.sync_api import expect


def test_jupyterlab_offers_a_notebook(page, server):
    page.goto(f"{server}/lab?reset")
    expect(page.locator('.jp-LauncherCard[data-category="Notebook"]').first).to_be_visible()


def test_a_new_notebook_computes(page, server):
    page.goto(f"{server}/lab?reset")
    page.locator('.jp-LauncherCard[data-category="Notebook"][title^="Python 3"]').first.click()
    cell = page.locator(".jp-Notebook .jp-CodeCell .cm-content").first
    cell.click()
    page.keyboard.type("6 * 7")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-Notebook .jp-OutputArea-output").first).to_have_text("42")
