"""ai-jobs forget, on a real Redis and real folders: what of a person is erased, what is left, and what is said."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ai_worker.jobs import commands, deliveries, past_events
from ai_worker.jobs.deliveries import Delivery
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.forget import digits
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.write_record import write_record
from callbus import calls, keys
from callbus.broker import Broker
from support.jobs_calls import finished_call
from support.jobs_parts import steady, write_part

T0 = 1_732_266_000.0
THEIRS, OURS = "33612345678", "33184800000"


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> JobsSettings:
    return JobsSettings.model_validate({"redis_url": redis_url, "calls_dir": tmp_path})


async def forget(settings: JobsSettings, number: str = "+33 6 12 34 56 78") -> int:
    return await commands.run(settings, commands.parse(["forget", "--number", number]))


async def recorded(broker: Broker, settings: JobsSettings, call_id: str, **fields: object) -> Path:
    await finished_call(broker, call_id)
    await calls.update(broker, call_id, **fields)
    folder = settings.calls_dir / call_id
    write_part(folder, T0, steady(8, 1, 2))
    await write_record({"desk": Desk(broker, settings.calls_dir, 30), "job_try": 1}, call_id)
    return folder


async def webhook(broker: Broker, resource: str, event: str, call_id: str = "", **data: object) -> None:
    """As the gateway publishes it."""
    state = {"ringing": "ringing", "missed": "ended"}.get(event)
    published = await calls.publish_webhook(
        broker,
        calls.LifecycleEvent(resource, event, call_id, time.time(), data=data),
        delivery=f"{event}-{time.time_ns()}",
        state=state,  # type: ignore[arg-type]
        once={name: str(data[name]) for name in ("from_number", "to_number", "direction") if call_id and name in data},
        latest={},
    )
    assert published


async def told(broker: Broker) -> list[str]:
    """The events that are left, by their calls and names."""
    entries = await broker.range(keys.EVENTS)
    return [f"{fields[b'call_id'].decode()} {fields[b'event'].decode()}" for _, fields in entries]


async def test_the_persons_calls_are_erased_and_no_others(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = await recorded(broker, settings, "c1")
    letter = Delivery("d", state="dead", first_at=time.time(), tries=3, status="410", reason="refused with status 410")
    await deliveries.note(broker, "c1", letter)
    await calls.publish(broker, calls.LifecycleEvent("media", "ended", "c1", T0))
    await calls.publish(broker, calls.LifecycleEvent("media", "ended", "c2", T0))
    called = await recorded(broker, settings, "c3", direction="outbound", from_number=OURS, to_number=THEIRS)
    other = await recorded(broker, settings, "c2", from_number="33699999999")
    await finished_call(broker, "c4")  # known to Redis alone
    assert await forget(settings) == 0
    assert "3 calls erased" in capsys.readouterr().out
    assert not mine.exists()
    assert not called.exists()
    assert sorted(path.name for path in other.iterdir()) == ["call.json", "call.wav"]
    left = await broker.execute("KEYS", "call:*")
    assert sorted(left) == sorted(key.encode() for key in (keys.call("c2"), keys.transcript("c2")))
    assert await deliveries.dead(broker) == []
    assert await told(broker) == ["c2 ended"]
    # Our own line is nobody's number.
    assert await forget(settings, f"00{OURS}") == 0
    assert "0 calls erased" in capsys.readouterr().out
    assert other.exists()


async def test_webhooks_are_found_when_their_calls_are_long_forgotten(
    broker: Broker, settings: JobsSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(past_events, "_PAGE", 2)
    sides = {"from_number": THEIRS, "to_number": OURS, "direction": "inbound"}
    theirs_out = {"from_number": OURS, "to_number": THEIRS}
    await webhook(broker, "call", "ringing", "missed-1", **sides, user={"email": "ana@example.com"})
    await webhook(broker, "call", "missed", "missed-1")  # in the form that names nobody
    await webhook(broker, "aftercall", "tags_updated", "missed-1", tags=["unhappy"])
    await webhook(broker, "message", "received", **{**sides, "direction": ""}, body="my secret")
    await webhook(broker, "message", "sent", **theirs_out, body="our answer")
    await webhook(broker, "message", "unheard_of", body="x", parties=[{"number": "+33 6 12 34 56 78"}])
    await webhook(broker, "message", "received", from_number="33699999999", to_number=OURS, body="another's")
    await webhook(broker, "call", "ringing", "theirs", from_number="33699999999", to_number=OURS, direction="inbound")
    await broker.execute("DEL", keys.call("missed-1"), keys.by_numbers(THEIRS, OURS))  # as after their 24 hours
    assert await forget(settings) == 0
    assert "1 calls erased, 3 messages; searched:" in capsys.readouterr().out
    assert await told(broker) == [" received", "theirs ringing"]
    for key in await broker.execute("KEYS", "*"):
        assert THEIRS not in key.decode()
    # Our line is on every call's and every message's other end.
    assert await forget(settings, OURS) == 0
    assert len(await told(broker)) == 2


async def test_an_event_whose_call_is_no_folders_name_touches_no_folder(
    broker: Broker, settings: JobsSettings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"calls_dir": tmp_path / "calls"})
    settings.calls_dir.mkdir()
    part = write_part(tmp_path / "others", T0, steady(8, 1, 2))
    data = {"from_number": THEIRS, "to_number": OURS, "direction": "inbound"}
    await calls.publish(broker, calls.LifecycleEvent("call", "ringing", "../others", T0, data=data))
    assert await forget(settings) == 0
    assert part.exists()
    assert await told(broker) == []


@pytest.mark.parametrize("data", [b"no json", b"[1", b"7", b'["33612345678"]'])
async def test_an_event_that_cannot_be_read_stops_nothing(broker: Broker, settings: JobsSettings, data: bytes) -> None:
    await broker.append(keys.EVENTS, {b"data": data}, maxlen=100)
    await webhook(broker, "message", "received", from_number=THEIRS, to_number=OURS)
    assert await forget(settings) == 0
    assert THEIRS not in json.dumps([fields[b"data"].decode() for _, fields in await broker.range(keys.EVENTS)])


async def test_a_running_call_is_left_and_said_so(
    broker: Broker, settings: JobsSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    await finished_call(broker, "c1", media="connected")
    await webhook(broker, "call", "ringing", "c1", from_number=THEIRS, to_number=OURS)
    part = write_part(settings.calls_dir / "c1", T0, steady(8, 1, 2))
    assert await forget(settings) == 1
    assert "still running, so left: c1" in capsys.readouterr().out
    assert part.exists()
    assert await broker.execute("EXISTS", keys.call("c1")) == 1
    assert await told(broker) == ["c1 ringing"]


@pytest.mark.parametrize(("since_s", "code"), [(60, 1), (3 * 3600, 0)], ids=["moments ago", "hours ago"])
async def test_a_call_without_media_whose_end_was_lost_is_erased_in_time(
    broker: Broker, settings: JobsSettings, since_s: float, code: int
) -> None:
    at = time.time() - since_s
    fields = {"state": "answered", "ringing_at": at - 5, "answered_at": at, "first_seen": at - 5}
    await calls.update(broker, "human-1", from_number=THEIRS, to_number=OURS, direction="inbound", **fields)
    assert await forget(settings) == code
    assert await broker.execute("EXISTS", keys.call("human-1")) == code


async def test_a_line_that_is_open_is_running_though_the_conversation_is_over(
    broker: Broker, settings: JobsSettings
) -> None:
    old = time.time() - 3600
    fields = {"state": "answered", "conversation": "finished", "media": "away", "media_at": old, "first_seen": old}
    await calls.update(broker, "c1", from_number=THEIRS, to_number=OURS, **fields)
    assert await forget(settings) == 1


async def test_where_no_records_are_nothing_is_erased(
    broker: Broker, settings: JobsSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = await recorded(broker, settings, "c1")
    elsewhere = settings.model_copy(update={"calls_dir": tmp_path / "out" / "calls"})
    assert await forget(elsewhere) == 1
    said = capsys.readouterr()
    assert "erased" not in said.out
    assert f"nothing is erased: CALLS_DIR ({elsewhere.calls_dir}) is no folder" in said.err
    assert folder.exists()
    assert await broker.execute("EXISTS", keys.call("c1")) == 1


async def test_the_answer_names_the_places(
    broker: Broker, settings: JobsSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(settings.calls_dir.parent)
    settings = settings.model_copy(update={"calls_dir": Path(settings.calls_dir.name)})
    assert await forget(settings) == 0
    assert f"searched: {settings.calls_dir.resolve()}, Redis" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["+33 6 12-34.56 78", "0033612345678", "33612345678", "+33 (6) 12 34 56 78"])
def test_numbers_are_their_digits(number: str) -> None:
    assert digits(number) == THEIRS


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("anonymous", "no phone number"),
        ("", "no phone number"),
        ("123", "no phone number"),
        ("33612345678 33612345679", "no phone number"),
        ("call 33612345678", "no phone number"),
        ("33612345678, 33612345679", "no phone number"),
        ("06 12 34 56 78", "has no country code"),
        ("+06 12 34 56 78", "has no country code"),
        ("+33 (0)6 12 34 56 78", "with the 0 and without"),
        ("0033 ( 0 ) 612345678", "with the 0 and without"),
    ],
)
async def test_numbers_that_may_be_anothers_are_refused(
    settings: JobsSettings, number: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await forget(settings, number) == 1
    said = capsys.readouterr().err
    assert why in said
    assert "like +33 6 12 34 56 78" in said
