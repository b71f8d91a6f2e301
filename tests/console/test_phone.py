"""The softphone in a real browser, with a recorded sentence as its microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from starlette.responses import JSONResponse

from support import console_samples as samples
from support import recordings
from support.console_backend import TOKEN, Console, Media
from support.console_browser import fresh_page, sign_in
from support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def agents(backend: Console) -> None:
    backend.agents = [
        {"name": "library", "numbers": ["33184800000"], "language": "en"},
        {"name": "orders", "numbers": [], "language": "fr"},
    ]


async def call(page: Page, backend: Console, *, agent: str = "library", rate: str = "8000") -> Media:
    """Sign in, call an agent, and be connected."""
    await sign_in(page, backend.url, TOKEN, to="#/phone")
    await page.get_by_label("Agent").select_option(agent)
    await page.get_by_label("Sound").select_option(rate)
    await page.get_by_role("button", name="Call", exact=True).click()
    media = await backend.connected()
    await page.get_by_text(f"Connected to {agent}").wait_for()
    return media


def sound(media: Media) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """All that the browser sent, in -1..1."""
    return np.frombuffer(b"".join(media.audio), "<i2").astype(np.float64) / 32768


@pytest.mark.parametrize("rate", ["8000", "16000"])
async def test_the_microphone_arrives_in_frames_of_20_ms(page: Page, backend: Console, agents: None, rate: str) -> None:
    media = await call(page, backend, agent="orders", rate=rate)
    assert backend.asked == [("/softphone", {"agent": "orders", "sample_rate": int(rate)})]
    assert media.query["sample_rate"] == rate
    began, ends = (ms / 1000 for ms in recordings.load("librivox_0880").speech_ms)
    wanted = int((ends + 0.3) * 50)
    await until(lambda: len(media.audio) >= wanted, what="the whole sentence")
    assert {len(frame) for frame in media.audio} == {int(rate) // 50 * 2}
    heard = sound(media)
    # As long as it is in the recording, give or take what was spoken before the line was open.
    loud = np.abs(heard).reshape(-1, int(rate) // 50).max(axis=1) > 0.02
    assert 0.4 * (ends - began) < loud.sum() / 50 < 1.2 * (ends - began)


async def test_what_the_bot_says_plays_and_a_break_ends_it(page: Page, backend: Console, agents: None) -> None:
    media = await call(page, backend)
    bot = page.get_by_label("Bot")
    piece = recordings.to_pcm(0.5 * np.sin(2 * np.pi * 440 / 8000 * np.arange(8000 * 5)).astype(np.float32))
    await media.say(piece, 8000)
    await page.wait_for_function("e => e.value > 0.3", arg=await bot.element_handle())
    await media.command("break")
    # 5 s were queued: only the break explains silence now.
    await page.wait_for_function("e => e.value < 0.01", arg=await bot.element_handle(), timeout=2000)


async def test_commands_show_and_a_transfer_ends_the_call(page: Page, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    media = await call(page, backend)
    happened = page.get_by_role("log", name="What happened on the line")
    await media.command("play", file="https://files.example/wait.mp3")
    await expect(happened).to_contain_text("https://files.example/wait.mp3")
    await media.command("digits", data=12)
    await expect(happened).to_contain_text("The bot presses 12.")
    await media.command("transfer", data=33187654321)
    await expect(page.get_by_text("Ringover would connect the caller to 33187654321 now.")).to_be_visible()
    await media.closed.wait()
    await until(lambda: ("/softphone/phone-1/end", {}) in backend.asked, what="the end told")


async def test_the_keypad_and_the_keyboard_press_keys(page: Page, backend: Console, agents: None) -> None:
    media = await call(page, backend)
    await page.get_by_role("button", name="#", exact=True).click()
    await page.keyboard.press("5")
    await until(lambda: len(media.texts) == 2, what="two keys")
    assert media.texts == [{"event": "dtmf", "digit": "#"}, {"event": "dtmf", "digit": "5"}]


async def test_captions_and_latency_show_and_the_call_outlives_the_page(
    page: Page, backend: Console, agents: None
) -> None:
    from playwright.async_api import expect

    media = await call(page, backend)
    for entry in samples.conversation():
        backend.add("phone-1", entry)
    captions = page.get_by_role("log", name="Captions")
    await expect(captions.get_by_text("Can I borrow a laptop?")).to_be_visible()
    await expect(page.locator(".last-turn")).to_contain_text("801 ms")
    await page.get_by_role("link", name="Live").click()
    await expect(page.get_by_role("heading", name="Live calls")).to_be_focused()
    await page.get_by_role("link", name="On a call with library").click()
    await expect(captions.get_by_text("Can I borrow a laptop?")).to_be_visible()
    assert not media.closed.is_set()
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.get_by_text("You hung up.")).to_be_visible()
    await expect(page.get_by_role("button", name="Call", exact=True)).to_be_focused()
    await media.closed.wait()
    await until(lambda: ("/softphone/phone-1/end", {}) in backend.asked, what="the end told")


async def test_a_muted_microphone_sends_silence(page: Page, backend: Console, agents: None) -> None:
    media = await call(page, backend)
    await until(lambda: np.abs(sound(media)).max(initial=0) > 0.05, what="speech")
    await page.get_by_role("button", name="Mute the microphone").click()
    await page.get_by_role("button", name="Unmute the microphone").wait_for()
    before = len(media.audio) + 10
    await until(lambda: len(media.audio) > before + 25, what="half a second more")
    assert not any(any(frame) for frame in media.audio[before:])


async def test_a_bot_that_hangs_up_is_told(page: Page, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    media = await call(page, backend)
    await media.socket.close()
    await expect(page.get_by_text("The bot hung up.")).to_be_visible()
    await until(lambda: ("/softphone/phone-1/end", {}) in backend.asked, what="the end told")


async def test_a_connection_that_breaks_comes_back_with_a_new_pass(page: Page, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    media = await call(page, backend, rate="16000")
    assert media.query["token"] == "pass-1"
    backend.refuse_media = 1
    await media.socket.close(1011)
    await expect(page.get_by_role("log", name="What happened on the line")).to_contain_text("The connection broke")
    await until(lambda: len(backend.media) == 2, what="a new connection")
    again = backend.media[1]
    # The pass that was turned away is not tried twice.
    assert (again.query["token"], again.query["sample_rate"]) == ("pass-3", "16000")
    assert backend.asked[1:] == [("/softphone/phone-1/pass", {"sample_rate": 16000})] * 2
    await expect(page.get_by_text("Connected to library")).to_be_visible()
    await until(lambda: len(again.audio) > 10, what="the microphone on the new connection")
    await page.get_by_role("button", name="Hang up").click()
    await until(lambda: ("/softphone/phone-1/end", {}) in backend.asked, what="the end told")


async def test_a_broken_call_that_is_over_says_so(page: Page, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    media = await call(page, backend)
    backend.refuse = JSONResponse({"error": "the call is over", "hint": "begin a new one"}, 409)
    await media.socket.close(1011)
    await expect(page.get_by_text("the call is over Begin a new one")).to_be_visible()
    await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()


async def test_a_refused_call_says_why(page: Page, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    backend.refuse = JSONResponse({"error": "no streamer runs", "hint": "start one with `streamer`"}, 409)
    await sign_in(page, backend.url, TOKEN, to="#/phone")
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_text("no streamer runs Start one with `streamer`")).to_be_visible()
    await expect(page.get_by_role("button", name="Call", exact=True)).to_be_enabled()


async def test_resampling_keeps_the_voice_and_folds_nothing_into_it(page: Page, backend: Console) -> None:
    await page.goto(f"{backend.url}/console")
    levels = await page.evaluate(
        """async () => {
          const { Resampler } = await import("/console/static/js/phone/resampler.js");
          const level = (from, to, hertz) => {
            const resampler = new Resampler(from, to);
            const made = [];
            // In pieces of 128, as the audio thread has them.
            for (let start = 0; start < from; start += 128) {
              const wave = (_, at) => Math.sin(2 * Math.PI * hertz * (start + at) / from);
              const piece = Float32Array.from({ length: 128 }, wave);
              made.push(...resampler.push(piece));
            }
            const middle = made.slice(to / 4, to / 2);
            return [made.length, Math.sqrt(middle.reduce((sum, sample) => sum + sample * sample, 0) / middle.length)];
          };
          return { kept: level(48000, 8000, 1000), odd: level(44100, 16000, 1000), folded: level(48000, 8000, 5000),
                   up: level(8000, 48000, 1000) };
        }"""
    )
    for name, rate in (("kept", 8000), ("odd", 16000), ("up", 48000)):
        count, level = levels[name]
        assert count == pytest.approx(rate, rel=0.02)
        assert level == pytest.approx(np.sqrt(0.5), rel=0.02)
    # 5 kHz would be heard as 3 kHz: at least 40 dB below.
    assert levels["folded"][1] < 0.007


async def test_pieces_are_played_without_a_seam(page: Page, backend: Console) -> None:
    await page.goto(f"{backend.url}/console")
    # One tone of 440 Hz in uneven pieces, as the audio clock plays them.
    played = await page.evaluate(
        """async () => {
          const { Speaker } = await import("/console/static/js/phone/speaker.js");
          const context = new OfflineAudioContext(1, 48000, 48000);
          const speaker = new Speaker(context);
          let at = 0;
          for (const length of [1600, 2345, 801, 2500]) {
            const wave = (_, n) => 16000 * Math.sin(2 * Math.PI * 440 * (at + n) / 8000);
            const samples = Int16Array.from({ length }, wave);
            at += length;
            const bytes = new Uint8Array(samples.buffer);
            speaker.play(btoa(String.fromCharCode(...bytes)), 8000);
          }
          return [...(await context.startRendering()).getChannelData(0)];
        }"""
    )
    heard = np.array(played)
    first, last = np.flatnonzero(np.abs(heard) > 0.1)[[0, -1]]
    assert (last - first) / 48000 == pytest.approx(7246 / 8000, abs=0.005)
    # Away from its ends, a tone's second difference is bounded by its frequency: a gap or a click is not.
    bent = np.abs(np.diff(heard[first + 480 : last - 480], 2)).max()
    assert bent < 1.2 * 0.49 * (2 * np.pi * 440 / 48000) ** 2


async def test_no_microphone_is_told(chromium: Browser, backend: Console, agents: None) -> None:
    from playwright.async_api import expect

    async with fresh_page(chromium) as page:
        await page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError'); }"
        )
        await sign_in(page, backend.url, TOKEN, to="#/phone")
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_text("There is no microphone.")).to_be_visible()
    assert backend.asked == []
