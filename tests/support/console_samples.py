"""What a gateway would tell the console: an active call, its transcript, a call's record, the state of the system."""

from __future__ import annotations

from typing import Any

BEGAN = 1795356880.0
"""When the sample calls began, in epoch seconds."""

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> & <b>bold</b>"
"""Said by a caller who would like to be read as HTML."""


def active(call_id: str = "call-1", **changes: Any) -> dict[str, Any]:
    """A CALL of the live stream."""
    return {
        "call_id": call_id,
        "from_number": "33612345678",
        "to_number": "33184800000",
        "agent": "library",
        "state": "listening",
        "since": BEGAN,
        "worker": "host-15014-3e3fef",
        "streamer": "host-15010-ab12cd",
        "muted": False,
        "turns": 0,
        "last_ms": None,
        **changes,
    }


def conversation() -> list[dict[str, Any]]:
    """The transcript's entries of a call in which the caller interrupts, asks for a tool and is transferred."""
    stages = {
        "stt_final": 410.0,
        "turn_end": 420.0,
        "llm_first_token": 640.0,
        "first_sentence": 700.0,
        "playing": 812.5,
    }
    tool = {"turn": 2, "tool_call_id": "t1", "name": "find_order", "arguments": '{"number": "A-17"}'}
    slow = {**tool, "tool_call_id": "t2", "name": "book", "arguments": "{}"}
    going = {"action_id": "a1", "kind": "transfer", "argument": "33187654321"}
    entries: list[dict[str, Any]] = [
        {"kind": "claimed", "at": BEGAN, "worker": "host-15014-3e3fef", "epoch": 1, "agent": "library"},
        {"kind": "bot", "at": BEGAN + 0.1, "segment": "s0", "text": "Hello, this is the library.", "reply_to": 0},
        heard("s0", "Hello, this is the library.", BEGAN + 2),
        {"kind": "caller", "at": BEGAN + 5, "started_at": BEGAN + 3, "turn": 1, "text": "Can I borrow a laptop?"},
        {"kind": "bot", "at": BEGAN + 5.6, "segment": "s1", "text": "Yes, for two hours at the desk.", "reply_to": 1},
        {
            "kind": "timing",
            "at": BEGAN + 6,
            "turn": 1,
            "stages": stages,
            "voice_to_voice_ms": 801.0,
            "hops": {"in": 2.1},
        },
        heard("s1", "Yes, for two", BEGAN + 7, interrupted=True),
        {"kind": "caller", "at": BEGAN + 9, "started_at": BEGAN + 7, "turn": 2, "text": HOSTILE},
        {"kind": "tool", "at": BEGAN + 9.5, **tool, "state": "asked", "result": ""},
        {"kind": "tool", "at": BEGAN + 9.9, **tool, "state": "done", "result": '{"status": "shipped"}'},
        {"kind": "tool", "at": BEGAN + 9.9, **slow, "state": "asked", "result": ""},
        {"kind": "tool", "at": BEGAN + 10, **slow, "state": "failed", "result": "book did not answer within 5 s."},
        {"kind": "note", "at": BEGAN + 10, "note": "openai failed: timeout; local-llm took over"},
        {"kind": "pressed", "at": BEGAN + 11, "digits": "42"},
        {"at": BEGAN + 12, **going, "state": "asked"},
        {"at": BEGAN + 12.1, **going, "state": "done"},
        {"kind": "bot", "at": BEGAN + 12.2, "segment": "s2", "text": "One moment please.", "by_operator": True},
    ]
    return [{"id": f"{number}-0", **entry} for number, entry in enumerate(entries, 1)]


def heard(segment: str, text: str, at: float, *, interrupted: bool = False) -> dict[str, Any]:
    """What was heard of a sentence."""
    return {
        "kind": "heard",
        "at": at,
        "segment": segment,
        "heard_text": text,
        "interrupted": interrupted,
        "started_at": at - 1.5,
    }


def record(call_id: str = "past-1", *, recorded: bool = True) -> dict[str, Any]:
    """A call's record as `GET /console/api/calls/{id}` gives it: 12 s, an interruption, a tool, a transfer."""
    bot = {"at": BEGAN + 5.6, "text": "Yes, for two hours at the desk.", "prompt": False}
    first: dict[str, Any] = {
        "turn": 0,
        "caller": None,
        "pressed": [],
        "actions": [],
        "tools": [],
        "notes": [],
        "timing": None,
    }
    greeting = {"at": BEGAN + 0.1, "text": "Hello, this is the library.", "prompt": True, "started_at": BEGAN + 0.2}
    line = {"at": BEGAN + 8, "text": "One moment please.", "prompt": False, "by_operator": True}
    line |= {"heard_text": line["text"], "interrupted": False, "started_at": BEGAN + 8, "ended_at": BEGAN + 9}
    said = {"heard_text": "Yes, for two", "interrupted": True, "started_at": BEGAN + 6, "ended_at": BEGAN + 7}
    tool = {"name": "find_order", "arguments": '{"number": "A-17"}', "asked_at": BEGAN + 5.2, "done_at": BEGAN + 5.4}
    transfer = {"kind": "transfer", "argument": "33187654321", "asked_at": BEGAN + 9, "done_at": BEGAN + 9.1}
    stages = {"stt_final": 410.0, "turn_end": 420.0, "llm_first_token": 640.0, "playing": 812.5}
    recording = {"file": "call.wav", "sample_rate": 8000, "started_at": BEGAN, "duration_s": 12.0, "notes": []}
    second = {
        "turn": 1,
        "caller": {"text": HOSTILE, "started_at": BEGAN + 3, "ended_at": BEGAN + 5},
        "pressed": [],
        "bot": [{**bot, **said}, line],
        "actions": [transfer],
        "tools": [
            {**tool, "result": '{"status": "shipped"}', "failed": False},
            {**tool, "name": "transfer", "arguments": "{}", "result": "nobody answers", "failed": True},
        ],
        "notes": [
            {"at": BEGAN + 5.5, "note": "openai failed: timeout; local-llm took over"},
            {"at": BEGAN + 5.6, "note": "text-to-speech failed: timeout"},
            {"at": BEGAN + 5.7, "note": "false interruption"},
        ],
        "timing": {"stages": stages, "voice_to_voice_ms": 801.0},
    }
    return {
        "version": 1,
        "call_id": call_id,
        "direction": "inbound",
        "from_number": "33612345678",
        "to_number": "33184800000",
        "agent": "library",
        "times": {"media_at": BEGAN, "finished_at": BEGAN + 12},
        "duration_s": 12.0,
        "outcome": "transferred",
        "reason": "closed",
        "ended_by": "transfer",
        "machine": None,
        "claims": [{"at": BEGAN, "worker": "host-15014-3e3fef", "epoch": 1, "agent": "library"}],
        "turns": [{**first, "bot": [{**greeting, "heard_text": greeting["text"], "interrupted": False}]}, second],
        "recording": recording if recorded else None,
        "unreadable": [],
        "costs": costs(),
        "aftercall": aftercall(),
        "waveform": waveform() if recorded else None,
    }


def costs() -> dict[str, Any]:
    """What a call used, by two providers, one of which tells and one of which does not."""
    chat = {"seam": "llm", "provider": "openai", "model": "gpt-4o-mini", "told": True}
    return {
        "usage": [
            {**chat, "unit": "input_tokens", "amount": 1234.0},
            {**chat, "unit": "output_tokens", "amount": 56.0},
            {"seam": "tts", "provider": "elevenlabs", "model": "", "unit": "characters", "amount": 78.0, "told": False},
        ],
        "requests_unknown": 2,
        "amount": 0.00123,
        "currency": "USD",
    }


def aftercall() -> list[dict[str, Any]]:
    """Ringover's late events; the last one's URLs are none that may be links."""
    return [
        {"event": "record_available", "at": BEGAN + 60, "data": {"call_id": 7, "record": "https://r.example/1.mp3"}},
        {"event": "transcription_available", "at": BEGAN + 61, "data": {"text": HOSTILE, "speech": [{"start": 0}]}},
        {"event": "summary_available", "at": BEGAN + 62, "data": {"text": "A laptop.", "empty": None}},
        {
            "event": "odd_thing",
            "at": BEGAN + 63,
            "data": {"a": "javascript:alert(1)", "b": "http://plain.example/", "c": "https://user:pass@evil.example/"},
        },
    ]


def waveform() -> dict[str, Any]:
    """12 s: the bot speaks at 0 to 2 s and 6 to 7 s, the caller at 3 to 5 s."""
    caller = [0.5 if 30 <= point < 50 else 0.0 for point in range(120)]
    bot = [0.4 if point < 20 or 60 <= point < 70 else 0.0 for point in range(120)]
    return {"ms_per_point": 100, "caller": caller, "bot": bot}


def past(number: int) -> dict[str, Any]:
    """A row of the list of past calls; a higher number is an older call."""
    return {
        "call_id": f"past-{number}",
        "from_number": f"336123456{number:02}",
        "to_number": "33184800000",
        "agent": "library" if number % 2 else "orders",
        "started_at": BEGAN - 3600 * number,
        "duration_s": 61.0 + number,
        "outcome": "transferred" if number % 3 else "caller_left",
        "ended_by": "transfer" if number % 3 else "caller",
        "turns": number % 5,
        "summary": "Asked about laptops and was put through to a colleague." if number % 2 else None,
    }


def system() -> dict[str, Any]:
    """What `GET /console/api/system` gives when a provider is out and a step of the setup is missing."""
    providers = {
        "stt": {"openai": {"state": "open", "out_for_s": 62.0}, "local": {"state": "closed", "out_for_s": 0.0}},
        "llm": {"openai": {"state": "closed", "out_for_s": 0.0}},
        "tts": {"elevenlabs": {"state": "half-open", "out_for_s": 0.0}},
    }
    worker = {"id": "host-15014-3e3fef", "at": BEGAN, "calls": 3, "capacity": 20, "provider_state": providers}
    return {
        "status": {
            "status": "ok",
            "problems": [],
            "redis": {"reachable": True, "ping_ms": 0.41},
            "streamers": [{"id": "host-15010-ab12cd", "at": BEGAN, "sessions": 3, "capacity": 500, "draining": False}],
            "workers": [worker],
            "gateway": {"id": "host-15001-778899", "uptime_s": 7300.0},
            "active_calls": 3,
        },
        "providers": [
            {**known("stt", "openai", "open"), "last_error": "status 500: try later", "last_error_at": BEGAN},
            known("stt", "local", "closed"),
            known("llm", "openai", "closed"),
            known("tts", "elevenlabs", "half-open"),
        ],
        "webhooks": {
            "received": 41,
            "refused_total": 7,
            "since": BEGAN - 86400,
            "refused": [{"at": BEGAN, "reason": "the signature is wrong", "times": 7}],
            "shared": True,
        },
        "checklist": [
            {"item": "Redis is reachable", "ok": True, "hint": ""},
            {
                "item": "A webhook was signed and received",
                "ok": False,
                "hint": "add the webhook in Ringover's dashboard",
            },
        ],
    }


def known(seam: str, provider: str, state: str) -> dict[str, Any]:
    """What a worker's heartbeat tells of a provider that never failed."""
    worker = "host-15014-3e3fef"
    told = {"seam": seam, "provider": provider, "state": state, "worker": worker}
    return {**told, "last_error": None, "last_error_at": None}


def dead_delivery() -> dict[str, Any]:
    """A delivery that was given up."""
    return {
        "id": "d-1",
        "call_id": "past-1",
        "state": "dead",
        "url": "https://crm.example/calls",
        "at": BEGAN,
        "next_at": None,
        "attempts": 12,
        "error": "answered 500",
    }
