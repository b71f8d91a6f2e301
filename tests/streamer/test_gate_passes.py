"""A browser's pass at the gate: it opens one call's door, for a minute, and nothing that was altered opens any."""

from __future__ import annotations

import time
from urllib.parse import quote, urlencode

from hypothesis import assume, given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from callbus import passes
from callbus.broker import Broker
from callbus.media import MediaEnded
from streamer.gate import Admission, Gate, Refusal
from streamer.settings import StreamerSettings
from support.streamer_process import Streamer, Worker, raw_request

TOKEN = "a-secret-token"
CALL = "browser-00ff"
NOW = 1_795_356_880.0
GATE = Gate(StreamerSettings.model_validate({"streamer_token": TOKEN}))
CALL_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+=-]{0,40}", fullmatch=True)


def judge(given_pass: str, call_id: str = CALL, *, now: float = NOW) -> Admission | Refusal:
    query = urlencode({"token": given_pass, "sample_rate": 16000})
    return GATE.judge(f"/ws/{quote(call_id)}?{query}", None, now=now)


def refused_for(given_pass: str, call_id: str = CALL, *, now: float = NOW) -> str:
    """Why it lets nobody in."""
    verdict = judge(given_pass, call_id, now=now)
    assert isinstance(verdict, Refusal)
    assert verdict.status == 401
    assert TOKEN not in verdict.text
    return verdict.text


@given(CALL_IDS, st.floats(0, 1e11), st.floats(0, passes.PASS_S - 1))
def test_a_pass_opens_its_calls_door_wherever_a_token_may_stand(call_id: str, minted: float, later: float) -> None:
    good = passes.mint(TOKEN, call_id, now=minted)
    opened = Admission(call_id, 8000, 1)
    for target, authorization in (
        (f"/ws/{quote(call_id)}?{urlencode({'token': good})}", None),
        (f"/ws/{quote(call_id)}", f"Bearer {good}"),
        (f"/ws/t/{quote(good)}/{quote(call_id)}", None),
        (f"/ws?{urlencode({'token': good, 'call_id': call_id})}", None),
        (f"/ws/{quote(call_id)}?{urlencode([('token', 'pass1.stale'), ('token', good)])}", None),
    ):
        # A call cannot be named just `t`: see TOKEN_PART.
        if call_id != "t" or "/t/" not in target:
            assert GATE.judge(target, authorization, now=minted + later) == opened


def test_a_pass_says_why_it_opens_nothing() -> None:
    good = passes.mint(TOKEN, CALL, now=NOW)
    assert isinstance(judge(good, now=NOW + passes.PASS_S - 1), Admission)
    assert "ended 0 s ago" in refused_for(good, now=NOW + passes.PASS_S)
    assert "ended 90 s ago" in refused_for(good, now=NOW + passes.PASS_S + 90)
    assert "another call" in refused_for(good, "browser-0100")
    assert "not ours" in refused_for(passes.mint(TOKEN + "x", CALL, now=NOW))
    assert "can't be read" in refused_for(good[:-1])
    assert "can't be read" in refused_for("pass1.")
    for no_call in ("/ws", "/ws/"):
        verdict = GATE.judge(f"{no_call}?{urlencode({'token': good})}", None, now=NOW)
        assert isinstance(verdict, Refusal)
        assert "another call" in verdict.text


def test_what_is_wrong_with_a_forged_pass_is_not_told() -> None:
    end = int(NOW) - 1000
    assert "not ours" in refused_for(f"pass1.{end}.other-call.{'0' * 64}")


@given(st.data())
def test_no_altered_pass_gets_in(data: st.DataObject) -> None:
    good = passes.mint(TOKEN, CALL, now=NOW)
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(("replace", "insert", "delete", "swap case")))
    new = data.draw(st.characters(codec="utf-8"))
    rest = good[at + (kind != "insert") :]
    altered = good[:at] + {"replace": new, "insert": new, "delete": "", "swap case": good[at].swapcase()}[kind] + rest
    assume(altered != good)
    assert isinstance(judge(altered), Refusal)


@given(end=st.integers(0, 10**12 - 1), call_id=CALL_IDS)
def test_no_pass_lives_longer_or_opens_another_door_than_it_was_made_for(end: int, call_id: str) -> None:
    _, own_end, named, proof = passes.mint(TOKEN, CALL, now=NOW).split(".")
    assume((str(end), call_id) != (own_end, named))
    assert isinstance(judge(f"pass1.{end}.{call_id}.{proof}", call_id), Refusal)


@given(st.text(max_size=100))
def test_no_text_is_a_pass_by_chance(text: str) -> None:
    assert isinstance(judge(f"pass1.{text}"), Refusal)


def test_without_a_token_no_pass_is_needed_or_looked_at() -> None:
    gate = Gate(StreamerSettings.model_validate({"streamer_token": None}))
    assert gate.judge(f"/ws/{CALL}?token=pass1.x", None, now=NOW) == Admission(CALL, 8000, 1)


async def test_passes_on_the_wire(running: Streamer, bus: Broker) -> None:
    good = urlencode({"token": passes.mint(TOKEN, "pass-call", now=time.time())})
    old = urlencode({"token": passes.mint(TOKEN, "pass-call", now=time.time() - 3600)})
    async with connect(running.url(f"/ws/pass-call?{good}")):
        pass
    await Worker(bus, "pass-call").until_told(MediaEnded)
    handshake = (
        "GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    )
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    for path, why in ((f"/ws/other?{good}", "another call"), (f"/ws/pass-call?{old}", "ended 35")):
        status, text = await raw_request(running.port, handshake.format(path) + key)
        assert status == 401
        assert why in text
