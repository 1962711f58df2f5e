"""The page in a real browser, as a newcomer uses it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from services import started

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "examples" / "photos"
AXE = ROOT / ".browser" / "axe.min.js"
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


@contextlib.contextmanager
def visited(browser, service, locale="en-GB"):
    """Visit a service's page, which has no fault, and asks nobody else for anything."""
    allowed = ["clipboard-read", "clipboard-write"]
    faults, asked = [], []
    with contextlib.closing(browser.new_context(locale=locale, permissions=allowed)) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(service.address)
        yield page
    assert faults == []
    assert [url for url in asked if not url.startswith((service.address, "blob:"))] == []


@pytest.fixture
def page(browser, service):
    with visited(browser, service) as page:
        yield page


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
    page.locator("#cards li").first.wait_for(state="detached")


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker in /proc")
def test_a_slow_service_is_waited_for_and_the_page_stays_of_use(page, service, photos):
    chosen = sorted(photos.glob("*.jpg"))[:6]
    with service.worker_stopped():
        page.set_input_files("#files", chosen)
        page.get_by_text("Being captioned…").nth(3).wait_for()
        assert page.get_by_text("Being captioned…").count() == 4
        assert page.get_by_text("Waiting…").count() == 2  # here, and not there
        assert page.locator("#count").inner_text() == "0 of 6"
        page.get_by_role("button", name="中文").click()
        page.get_by_text("正在生成说明……").first.wait_for()
        page.get_by_role("button", name="English").click()
    for path in chosen:
        assert captioned(page, path.name) == expected(service, path)
    page.get_by_text("6 of 6").wait_for()


def test_a_token_is_asked_for_until_it_is_the_right_one(browser, serving, photos):
    token = "a-token-of-sixteen-characters"
    with serving(UNROLLED_TOKEN=token) as closed, visited(browser, closed) as page:
        page.set_input_files("#files", photos / "00_red.jpg")
        for wrong in ("wrong", "说"):
            page.get_by_label("This service wants its token").fill(wrong)
            page.get_by_role("button", name="Use it").click()
            card(page, "00_red.jpg").get_by_text("The token is missing or wrong.").wait_for()
            page.get_by_label("This service wants its token").wait_for()
        page.get_by_label("This service wants its token").fill(token)
        page.get_by_role("button", name="Use it").click()
        assert captioned(page, "00_red.jpg")
        assert page.get_by_label("This service wants its token").is_hidden()


def test_all_of_it_can_be_done_from_the_keyboard(page, photos):
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="Choose photos").press("Enter")
    choosing.value.set_files(photos / "00_red.jpg")
    captioned(page, "00_red.jpg")
    page.get_by_label("Caption, to be edited").focus()
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached[:3] == ["Copy as alt text", "Copy as HTML", "What is behind it"]
    page.get_by_text("What is behind it").press("Enter")
    page.locator(".words button").first.press("Space")
    assert page.locator(".words button").first.get_attribute("aria-pressed") == "true"


MAP = [[0.7, 0.1], [0.2, 0.0]]
DETAILS = {
    "words": [{"word": w, "p": 0.5, "others": [{"word": "b", "p": 0.2}]} for w in ("a", "<END>")],
    "attention": [MAP, [row[::-1] for row in MAP]],
}
DARKNESS = """() => {
  const map = document.querySelector(".picture canvas");
  const pen = map.getContext("2d");
  const at = (x, y) => pen.getImageData(x * map.width, y * map.height, 1, 1).data[3];
  return [[at(0.1, 0.1), at(0.9, 0.1)], [at(0.1, 0.9), at(0.9, 0.9)]];
}"""


def test_where_the_model_looked_is_bright(page, photos):
    told = {"index": 0, "name": "", "caption": "a", "log_prob": -1.0, "details": DETAILS}
    page.route("**/v1/captions*", lambda route: route.fulfill(json={"photos": [told]}))
    page.set_input_files("#files", photos / "00_red.jpg")
    page.get_by_text("What is behind it").click()
    first, last = page.locator(".words button").nth(0), page.locator(".words button").nth(1)
    seen = page.locator(".picture canvas")
    assert seen.count() == 0
    first.click()
    page.get_by_text("bright where the model looked before it said “a”").wait_for()
    assert seen.count() == 1
    (most, little), (some, none) = page.evaluate(DARKNESS)
    assert most < some < little < none
    photo, laid = (page.locator(f".picture {tag}").bounding_box() for tag in ("img", "canvas"))
    assert laid == photo
    last.click()
    page.get_by_text("before it said “the end”").wait_for()
    (little, most), (none, some) = page.evaluate(DARKNESS)
    assert most < some < little < none
    last.click()  # once more: it is taken away
    seen.wait_for(state="detached")
    assert last.get_attribute("aria-pressed") == "false"
    first.click()
    seen.wait_for()
    page.get_by_text("What is behind it").click()  # a browser tells of it later
    seen.wait_for(state="detached")


def test_what_the_captioner_that_ships_looked_at_is_laid_over_the_photo(browser, cache_of_encoders):
    with started() as shipped, visited(browser, shipped) as page:
        page.set_input_files("#files", PHOTOS / "cat.jpg")
        assert len(captioned(page, "cat.jpg").split()) > 2
        page.get_by_text("What is behind it").click()
        page.locator(".words button").nth(1).click()
        page.get_by_text("bright where the model looked").wait_for()
        darkness = page.evaluate(DARKNESS)
        assert len({tone for row in darkness for tone in row}) > 1
        assert page.locator(".inside ol li").count() == 4  # its own beam of 5


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_accessibility_checker_finds_nothing_serious(
    page, photos, tmp_path, width, scheme, language
):
    if not AXE.exists():
        pytest.skip(f"no axe-core; {BESIDE}")

    def check(state):
        found = page.evaluate("axe.run()")["violations"]
        faults = [(each["id"], each["help"]) for each in found if each["impact"] != "minor"]
        assert (state, faults) == (state, [])
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.locator(f"[data-language={language}]").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    check("empty")
    page.set_input_files("#files", [photos / "00_red.jpg", bad])
    page.locator(".state.bad").wait_for()
    page.locator("#ways summary").click()
    page.locator("#options select").select_option("sample")
    page.locator(".behind summary").first.click()
    page.locator(".words button").first.click()
    check("with a caption, what is behind it, and a photo that is none")
    page.evaluate("document.getElementById('token').hidden = false")
    page.route("**/v1/captions*", lambda route: route.abort())
    page.locator(".retry").nth(1).click()
    page.locator(".state.bad").nth(0).wait_for()
    check("where a token is wanted and the service is gone")


def test_the_page_of_the_api_is_for_all_as_well(page, service):
    if not AXE.exists():
        pytest.skip(f"no axe-core; {BESIDE}")
    page.goto(f"{service.address}docs")
    page.get_by_role("heading", name="POST /v1/captions").wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        assert [each["id"] for each in found if each["impact"] != "minor"] == []
