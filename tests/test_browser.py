"""The page in a real Chromium: what a visitor sees, hears and is told.

What the page does is tested over a face without models; that the real face speaks, over the whole program."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager

import av
import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser_kit import (
    BAR,
    CAPACITY,
    MOUTH,
    ROOT,
    SIZE_PX,
    RealServer,
    chromium,
    light_server,
    lively,
    recording,
    running_browser,
    watch,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium: install Debian's chromium, or set CHROMIUM"),
]

expect.set_options(timeout=20_000)  # a busy machine takes long to show what it shows at once on another

LINE = "Papa may buy my mother a map of Bombay."
module_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@module_fixture
async def server(tmp_path_factory):
    async with light_server(tmp_path_factory.mktemp("light")) as address:
        yield address


@pytest.fixture(scope="module", autouse=True)
def starting_server(tmp_path_factory):
    """The whole program gets ready while the page is tested, first in what needs no even flow of pictures and sound."""
    server = RealServer(tmp_path_factory.mktemp("whole"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def whole_server(starting_server):
    return starting_server.address()


@module_fixture
async def browser():
    async with running_browser(chromium()) as browser:
        yield browser


@asynccontextmanager
async def visit(browser, address, **context_options):
    """A visitor's page; what the console says is wrong gathers in `page.complaints`."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | context_options)
    page = await context.new_page()
    page.complaints = []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    await _open(page, address)
    yield page
    await page.goto("about:blank")  # ends its session, which frees the place
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser, server):
    async with visit(browser, server, permissions=["microphone"]) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def whole_page(browser, whole_server):
    async with visit(browser, whole_server, permissions=["microphone"]) as page:
        yield page


async def _open(page: Page, address: str) -> None:
    await page.goto(address)
    await expect(page.locator(".face img")).not_to_have_count(0)


async def _say(page: Page, text: str) -> None:
    await page.get_by_label("A line for the face to say").fill(text)
    await page.keyboard.press("Enter")


MUTED = "document.getElementById('avatar').video.muted"


async def _picture(page: Page) -> None:
    """Waits for the first frames."""
    await page.wait_for_function("document.getElementById('avatar').video.currentTime > 0", timeout=30_000)


def _state(page: Page, word: str, timeout_s: float = 30):
    return expect(page.locator("#frame")).to_have_attribute("data-state", word, timeout=timeout_s * 1000)


async def test_the_page_loads_quietly_and_from_one_place(browser, server):
    elsewhere = []
    async with visit(browser, server) as page:
        page.on("request", lambda request: request.url.startswith((server, "data:")) or elsewhere.append(request.url))
        await page.reload()
        await page.wait_for_load_state("networkidle")
        pictures = await page.locator(".face img").evaluate_all("all => all.map(one => one.naturalWidth)")
        assert len(pictures) >= 3 and all(pictures)
        assert await page.locator("#voice option").count() > 1
        assert page.complaints == [] and elsewhere == []


async def test_escape_interrupts_at_once(page):
    await _say(page, LINE * 8)
    await _state(page, "speaking")
    assert not await page.evaluate(MUTED), "a typed line is there to be heard"
    await page.keyboard.press("Escape")
    await _state(page, "idle", timeout_s=2)
    seen = await watch(page, 1, BAR)
    assert max(seen.loudness[8:]) < 0.001


async def test_a_refused_microphone_is_explained(browser, server):
    async with visit(browser, server) as page:
        await page.get_by_role("button", name="Start talking").click()
        await expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked for this page")
        await expect(page.get_by_role("button", name="Start talking")).to_be_enabled()


async def test_a_full_server_is_explained_and_waited_for(page):
    await page.evaluate(
        """async (capacity) => {
          const {MouthpieceClient} = await import("/web/avatar.js");
          window.others = Array.from({length: capacity}, () => new MouthpieceClient());
          await Promise.all(window.others.map((client) => client.connect()));
        }""",
        CAPACITY,
    )
    await _say(page, LINE)
    await expect(page.get_by_role("alert")).to_contain_text("places are taken")
    await expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Trying again in \d+ s\."))
    await page.evaluate("Promise.all(window.others.map((client) => client.disconnect()))")
    await _state(page, "speaking")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_first_visitor_has_a_talking_face_with_one_click(page):
    await page.get_by_role("button", name="Speak").click()
    await _state(page, "speaking")


async def _place(page: Page) -> str:
    return await page.evaluate("document.getElementById('motion-link').href.split('/').pop()")


async def _style(page: Page, server: str) -> dict:
    """The style that the page's session has, as the server says it."""
    return await (await page.request.post(f"{server}/sessions/{await _place(page)}/style", data={})).json()


async def test_the_manner_is_set_by_keyboard_shown_kept_and_reset(page, server):
    await _say(page, "Hello.")
    await _picture(page)
    await page.get_by_role("radio", name="Neutral").focus()
    for _ in range(2):
        await page.keyboard.press("ArrowRight")
    await page.get_by_label("Head", exact=True).focus()
    await page.keyboard.press("Home")
    await page.get_by_role("radio", name="To the left").check(force=True)
    await page.get_by_role("switch", name="Blinks").uncheck()
    await expect(page.locator("#manner-kept")).to_have_text("Kept in this browser.")
    style = await _style(page, server)
    assert (style["feeling"], style["head"], style["look"], style["blink"]) == ("happy", 0.0, "left", False)

    await page.request.post(f"{server}/sessions/{await _place(page)}/style", data={"mouth": 0.5})
    await expect(page.get_by_label("Mouth", exact=True)).to_have_value("0.5")

    await page.reload()
    await expect(page.get_by_role("radio", name="Happy")).to_be_checked()
    await _say(page, "Hello again.")
    await _picture(page)
    await expect(page.locator("#motion-link")).to_be_visible()
    assert (await _style(page, server))["feeling"] == "happy", "a new session starts with what is shown"
    await page.get_by_role("button", name="Reset").click()
    await page.wait_for_timeout(400)
    assert (await _style(page, server))["feeling"] == "neutral"
    assert page.complaints == []


async def test_a_mark_that_is_none_is_told_and_the_rest_spoken(page):
    await _say(page, "Good [laugh] morning.")
    await expect(page.get_by_role("alert")).to_contain_text("[laugh] is no mark")
    await _state(page, "speaking")


DRAWN = """() => [...document.querySelectorAll("canvas")].map((canvas) => {
  const {data} = canvas.getContext("2d").getImageData(canvas.width / 2, 0, canvas.width / 2, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
})"""


async def test_the_curves_of_a_session_are_drawn(page):
    await _say(page, LINE * 4)
    await _state(page, "speaking")
    await page.locator("#motion summary").click()
    watching = await page.context.new_page()
    await watching.goto(await page.locator("#motion-link").get_attribute("href"))
    await expect(watching.locator("#index")).to_have_text(re.compile(r"^\d+$"), timeout=15_000)
    await watching.wait_for_timeout(1000)
    for one in (page, watching):
        colours = await one.evaluate(DRAWN)
        assert len(colours) >= 7 and min(colours) > 2, "an empty canvas"
    jaw = watching.locator("#weights li", has_text="jaw open").locator("output")
    assert await jaw.inner_text() != "0.00"
    assert page.complaints == []
    await watching.close()


KEEP_CHANNELS = """() => {
  const make = RTCPeerConnection.prototype.createDataChannel;
  window.channels = [];
  RTCPeerConnection.prototype.createDataChannel = function (...given) {
    window.channels.push(make.apply(this, given));
    return window.channels.at(-1);
  };
}"""


async def test_a_lost_connection_is_made_again(page, server):
    """The same session where it still is, a new one where it is not."""
    places = []
    page.on("response", lambda answer: answer.status == 201 and places.append(answer.headers["location"]))
    await page.evaluate(KEEP_CHANNELS)
    await _say(page, "Hello.")
    await _picture(page)
    await page.evaluate("window.channels[0].close()")
    await expect(page.get_by_role("alert")).to_contain_text("Trying again")
    await _state(page, "idle")
    assert len(places) == 2 and places[0] == places[1]

    await page.request.delete(server + places[0])
    await expect(page.get_by_role("alert")).to_contain_text("Trying again")
    await _state(page, "idle")
    assert len(places) == 3 and places[2] != places[0]
    assert len((await watch(page, 0.5, BAR, least=6)).change) > 5


async def test_the_microphone_moves_the_picture_and_comes_back_as_sound(page):
    await page.get_by_role("button", name="Start talking").click()
    await _picture(page)
    seen = await watch(page, 6, BAR, least=110)
    assert len(seen.change) > 100, "the picture stands still"
    assert lively(seen.amid_sound()) > 5 > 1 > lively(seen.amid_silence())
    assert {"listening", "speaking"} <= set(seen.state)
    assert await page.evaluate(MUTED), "one's own voice must not come back"
    await page.get_by_role("button", name="Hear yourself").click()
    assert not await page.evaluate(MUTED)
    await expect(page.locator("#delay")).to_have_text(re.compile(r"^\d+ ms$"))
    assert page.complaints == []


async def test_mute_silences_the_microphone(page):
    await page.get_by_role("button", name="Start talking").click()
    await page.get_by_role("button", name="Mute").click()
    await _picture(page)
    await expect(page.get_by_role("button", name="Unmute")).to_have_attribute("aria-pressed", "true")
    await page.wait_for_timeout(800)
    assert max((await watch(page, 3, BAR)).loudness) < 0.001


async def test_the_obs_link_shows_the_picture_alone(page, server):
    await page.context.grant_permissions(["clipboard-read", "clipboard-write", "microphone"])
    await _say(page, LINE * 3)
    await _state(page, "speaking")
    await page.get_by_role("button", name="Copy the OBS link").click()
    await expect(page.get_by_role("alert")).to_contain_text("copied")
    link = await page.evaluate("navigator.clipboard.readText()")
    view = await page.context.new_page()
    await view.goto(link)
    await _picture(view)
    seen = await watch(view, 1.5, BAR, least=25)
    assert len(seen.change) > 20 and max(seen.loudness) > 0.01
    background = await view.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgba(0, 0, 0, 0)" and await view.inner_text("body") == ""
    await view.close()


@pytest.mark.parametrize("width", [320, 390])
async def test_a_phone_has_no_horizontal_scroll(page, width):
    await page.set_viewport_size({"width": width, "height": 700})
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert await page.evaluate(fits)
    await page.get_by_role("button", name="Start talking").click()
    await expect(page.get_by_role("button", name="End")).to_be_visible()
    await page.locator("#latency summary").click()
    assert await page.evaluate(fits)
    small = await page.locator("button:visible, select:visible").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 28).map((one) => one.outerHTML)"
    )
    assert small == []


IN_STEP = """async () => {
  const {MotionBuffer} = await import("/web/motion_buffer.js");
  const client = Object.assign(new EventTarget(), {at: null, wantMotion() {}, soundIndex: () => client.at});
  const motion = new MotionBuffer(client);
  const tell = (type, detail) => client.dispatchEvent(new CustomEvent(type, {detail}));
  const heard = [motion.now()];
  tell("motion_header", {columns: ["jawOpen"]});
  for (const index of [100, 101, 102, 104]) tell("motion", {index, values: [index]});
  for (const at of [null, 99, 100, 101.25, 103, 104.5, 900]) heard.push(motion.now(client.at = at)[0]);
  return heard;
}"""


async def test_motion_is_given_in_step_with_the_sound(page):
    assert await page.evaluate(IN_STEP) == [None, 104, 100, 100, 101.25, 103, 104, 104]


async def test_the_real_face_speaks_a_typed_line(whole_page):
    await _say(whole_page, LINE)
    await _state(whole_page, "speaking")
    speaking = await watch(whole_page, 3, MOUTH)
    await _state(whole_page, "idle")
    await whole_page.wait_for_timeout(500)
    silent = await watch(whole_page, 2, MOUTH)
    assert max(speaking.loudness) > 0.02 and max(silent.loudness) < 0.001
    assert lively(speaking.change) > 2 * lively(silent.change)
    assert whole_page.complaints == []


async def test_a_recording_becomes_a_film_to_keep(whole_page):
    await whole_page.locator("#film summary").click()
    talk = {"name": "talk.wav", "mimeType": "audio/wav", "buffer": recording(seconds=1.2)}
    await whole_page.get_by_label("Choose a recording…").set_input_files(talk)
    await whole_page.get_by_role("button", name="Make the film").click()
    await expect(whole_page.locator("#film-state")).to_contain_text("Download the film", timeout=90_000)
    async with whole_page.expect_download() as downloading:
        await whole_page.get_by_role("link", name="Download the film").click()
    with av.open(await (await downloading.value).path()) as film:
        pictures = list(film.decode(video=0))
    assert len(pictures) == 30 and pictures[0].width == SIZE_PX
    assert whole_page.complaints == []


async def test_the_microphone_moves_the_real_mouth(whole_page):
    await whole_page.get_by_role("button", name="Start talking").click()
    await _picture(whole_page)
    seen = await watch(whole_page, 6.5, MOUTH, least=110)
    assert lively(seen.amid_sound()) > 2 * lively(seen.amid_silence())


async def test_a_photo_becomes_a_face_and_can_be_deleted(whole_page):
    page = whole_page
    before = await page.locator(".face img").count()
    photo = next((ROOT / "models" / "avatars").glob("*/photo.*"))
    await page.get_by_label("Photo file").set_input_files(photo)
    await expect(page.locator("#upload")).to_contain_text("ready to talk", timeout=30_000)
    assert await page.locator("#upload .note").count() > 0, "no quality report"
    await expect(page.locator(".face img")).to_have_count(before + 1)
    await expect(page.locator(".own input")).to_be_checked()
    await page.locator(".own").hover()
    await page.locator(".own .remove").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator(".face img")).to_have_count(before)
    assert page.complaints == []


async def test_a_face_that_is_not_found_can_be_pointed_at(whole_page):
    page = whole_page
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    data = cv2.imencode(".png", cv2.GaussianBlur(noise, (0, 0), 8))[1].tobytes()
    await page.get_by_label("Photo file").set_input_files({"name": "art.png", "mimeType": "image/png", "buffer": data})
    await page.get_by_role("button", name="Show where the face is").click(timeout=30_000)
    chin = page.get_by_role("button", name="Chin")
    before = await chin.bounding_box()
    await chin.drag_to(page.locator("#points .board img"), target_position={"x": 200, "y": 340})
    await chin.press("Shift+ArrowDown")
    after = await chin.bounding_box()
    assert after["y"] > before["y"] + 5
    async with page.expect_response("**/avatars") as answered:
        await page.get_by_role("button", name="Use these points").click()
    assert (await answered.value).status == 201
    await expect(page.locator("#upload")).to_contain_text("ready to talk", timeout=30_000)
    await expect(page.locator(".own input")).to_be_checked()
    await page.locator(".own").hover()
    await page.locator(".own .remove").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator(".own")).to_have_count(0)


@pytest.mark.parametrize("kind", ["noise", "text"])
async def test_a_bad_photo_is_refused_with_the_servers_sentence(whole_page, kind):
    page = whole_page
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    data = cv2.imencode(".png", noise)[1].tobytes() if kind == "noise" else b"this is not a picture"
    async with page.expect_response("**/avatars") as answered:
        await page.get_by_label("Photo file").set_input_files(
            {"name": "me.png", "mimeType": "image/png", "buffer": data}
        )
    answer = await answered.value
    assert answer.status == 422
    sentence = (await answer.json())["error"]["message"]
    await expect(page.locator("#upload .warning")).to_contain_text(sentence[1:])
    await expect(page.get_by_role("button", name="Choose another photo")).to_be_visible()
