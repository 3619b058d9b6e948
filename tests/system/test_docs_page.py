"""The page at /docs in a browser: complete, quiet, and alone with its own server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_every_operation_and_asks_nobody_else(browser: Any, start_service: Any, scheme: str) -> None:
    service = start_service()
    page = browser.new_page(color_scheme=scheme)
    asked: list[str] = []
    trouble: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))

    page.goto(f"{service.url}/docs")
    page.wait_for_selector("article")

    document = service.get("/openapi.json").body
    ids = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    shown = set(page.eval_on_selector_all("main article", "nodes => nodes.map(node => node.id)"))
    assert ids == {name for name in shown if not name.startswith("schema-")}
    assert {name.removeprefix("schema-") for name in shown} - ids == set(document["components"]["schemas"])
    assert all(url.startswith((service.url, "data:")) for url in asked)
    assert trouble == []
    page.eval_on_selector_all("details", "nodes => nodes.forEach(node => node.open = true)")
    assert "[object" not in page.inner_text("body")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_page_is_used_by_keyboard(browser: Any, start_service: Any) -> None:
    page = browser.new_page()
    page.goto(f"{start_service().url}/docs")
    page.wait_for_selector("article")

    page.keyboard.press("/")
    page.keyboard.type("enqueue many")
    page.keyboard.press("Enter")

    page.wait_for_function("document.querySelector('#create_tasks details').open")
    assert "curl" in page.inner_text("#create_tasks pre >> nth=0")
    assert page.evaluate("document.activeElement.closest('article').id") == "create_tasks"
    page.keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('#create_tasks details').open")
