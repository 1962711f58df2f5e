"""The page in a real browser, as a newcomer uses it."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

AXE = Path(__file__).parents[2] / ".browser" / "axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
BESIDE = "scripts/install_browser installs it"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason=f"no Playwright; {BESIDE}")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip(f"no Chromium; {BESIDE}")
    with playwright.sync_playwright() as running:
        one = running.chromium.launch(executable_path=chromium, args=[*FLAGS, "--no-first-run"])
        yield one
        one.close()


@pytest.fixture
def page(browser, service):
    context = browser.new_context(locale="en-GB", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(service.address)
    yield page
    context.close()
    assert faults == []
    assert [url for url in asked if not url.startswith((service.address, "blob:"))] == []


def card(page, name):
    return page.locator("#cards li", has=page.get_by_text(name, exact=True))


def captioned(page, name):
    box = card(page, name).get_by_label("Caption, to be edited")
    box.wait_for()
    return box.input_value()


def expected(service, path):
    return service.post(path.read_bytes()).json["photos"][0]["caption"]


def test_many_photos_and_a_bad_one_among_them(page, service, photos, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    good = sorted(photos.glob("*.jpg"))[:8]
    page.set_input_files("#files", [*good[:4], bad, *good[4:]])
    for path in good:
        assert captioned(page, path.name) == expected(service, path)
    card(page, "bad.jpg").get_by_text("This file cannot be read as a photo.").wait_for()
    page.get_by_text("9 of 9").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with Path(download.value.path()).open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [path.name for path in good]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert len(json.loads(Path(download.value.path()).read_text("utf-8"))) == 8
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#cards li").count() == 0


def test_an_edited_caption_is_what_is_copied(page, photos):
    page.set_input_files("#files", photos / "00_red.jpg")
    captioned(page, "00_red.jpg")
    page.get_by_label("Caption, to be edited").fill('a "red" <circle> & more')
    page.get_by_role("button", name="Copy as alt text").click()
    page.get_by_text("Copied.").wait_for()
    read = "navigator.clipboard.readText()"
    assert page.evaluate(read) == 'a "red" <circle> & more'
    page.get_by_role("button", name="Copy as HTML").click()
    page.wait_for_timeout(200)
    assert page.evaluate(read) == (
        '<img src="00_red.jpg" alt="a &quot;red&quot; &lt;circle&gt; &amp; more">'
    )


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_photos_are_pasted_and_dropped(page, service, photos, way):
    path = photos / "01_green.jpg"
    page.evaluate(
        """([way, bytes]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], "it.jpg", { type: "image/jpeg" }));
          const event = way === "paste"
            ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true })
            : new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [way, list(path.read_bytes())],
    )
    assert captioned(page, "it.jpg") == expected(service, path)


def test_what_is_behind_a_caption_is_shown_on_demand(page, photos):
    page.get_by_text("How captions are found").click()
    page.get_by_label("Search").select_option("beam")
    page.get_by_label("Width of the beam").fill("4")
    page.set_input_files("#files", photos / "00_red.jpg")
    words = captioned(page, "00_red.jpg").split()
    page.get_by_text("What is behind it").click()
    page.locator(".words button").first.wait_for()
    assert page.locator(".words button").count() >= len(words)
    page.locator(".words button").nth(1).press("Enter")
    assert page.locator(".inside [role=status] tr").count() == 5
    assert page.locator(".inside .scrolled tbody tr").count() == 4
    assert page.locator(".inside ol li").count() == 3
    page.get_by_label("Search").select_option("sample")
    page.get_by_label("Temperature").fill("3")
    page.get_by_role("button", name="Caption the photos again").click()
    page.get_by_text("1 of 1").wait_for()
    captioned(page, "00_red.jpg")


def test_the_page_speaks_chinese(page, photos):
    page.set_input_files("#files", photos / "00_red.jpg")
    captioned(page, "00_red.jpg")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="为照片配上说明").wait_for()
    page.get_by_role("button", name="复制为替代文本").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.reload()
    page.get_by_role("heading", name="为照片配上说明").wait_for()


def test_a_slow_or_missing_service_is_told(page, photos):
    page.route("**/v1/captions*", lambda route: route.abort())
    page.set_input_files("#files", photos / "00_red.jpg")
    page.get_by_text("The service cannot be reached").first.wait_for()
    page.unroute("**/v1/captions*")
    busy = {"error": {"code": "busy", "message": "."}}
    page.route(
        "**/v1/captions*",
        lambda route: route.fulfill(status=429, json=busy, headers={"Retry-After": "1"}),
        times=1,
    )
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("this one goes on soon").wait_for()
    captioned(page, "00_red.jpg")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_accessibility_checker_finds_nothing_serious(page, photos, width, scheme):
    if not AXE.exists():
        pytest.skip(f"no axe-core; {BESIDE}")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.set_input_files("#files", photos / "00_red.jpg")
    captioned(page, "00_red.jpg")
    page.get_by_text("How captions are found").click()
    page.get_by_text("What is behind it").click()
    page.locator(".words button").first.click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    assert [(each["id"], each["help"]) for each in found if each["impact"] != "minor"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
