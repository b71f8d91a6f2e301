"""What goes onto a stream comes off it again, and nothing else does."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbus import commands, media, transcript
from callbus.errors import BadMessage

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
TIME = st.floats(0, 4e9).map(lambda t: round(t, 3))
ID = st.text("abcdefghijklmnop.0123456789-", min_size=1, max_size=20)
FIELDS = st.dictionaries(
    st.sampled_from([b"k", b"j", b"t", b"p", b"d", b"c", b"h", b"n", b"x"]), st.binary(max_size=40)
)

MEDIA = st.one_of(
    st.builds(media.MediaStarted, TIME, ID, ID, st.sampled_from([8000, 16000]), st.booleans()),
    st.builds(media.Audio, TIME, st.integers(0, 10**8), st.binary(max_size=640)),
    st.builds(media.Dtmf, TIME, st.sampled_from("0123456789*#ABCD")),
    st.builds(
        media.Playback,
        TIME,
        st.sampled_from(["started", "finished", "cut", "idle"]),
        ID,
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    st.builds(media.ActionDone, TIME, ID),
    st.builds(media.ActionRefused, TIME, ID, TEXT),
    st.builds(media.MediaEnded, TIME, TEXT),
    st.builds(media.Operator, TIME, st.sampled_from(["say", "transfer", "hang_up", "mute", "unmute"]), TEXT),
)
COMMANDS = st.one_of(
    st.builds(commands.Speak, ID, st.integers(0, 99), ID, st.binary(max_size=640), st.booleans()),
    st.builds(commands.Break, ID, st.integers(0, 99)),
    st.builds(commands.TakeOver, ID, st.integers(0, 99)),
    st.builds(commands.Play, ID, st.integers(0, 99), ID, TEXT),
    st.builds(commands.Digits, ID, st.integers(0, 99), ID, TEXT),
    st.builds(commands.Transfer, ID, st.integers(0, 99), ID, TEXT),
    st.builds(commands.Hangup, ID, st.integers(0, 99), ID),
    st.builds(commands.Record, ID, st.integers(0, 99), st.booleans()),
    st.builds(commands.Detach, ID, st.integers(0, 99), ID),
)
ENTRIES = st.one_of(
    st.builds(transcript.Claimed, TIME, ID, st.integers(1, 99), ID),
    st.builds(transcript.CallerSaid, TIME, TIME, st.integers(1, 99), TEXT, ID),
    st.builds(transcript.CallerPressed, TIME, TEXT),
    st.builds(transcript.BotSays, TIME, ID, TEXT, st.integers(0, 99), st.booleans()),
    st.builds(transcript.Answered, TIME, st.integers(0, 99)),
    st.builds(transcript.BotHeard, TIME, ID, TEXT, st.booleans(), st.none() | TIME),
    st.builds(transcript.TurnTimed, TIME, st.integers(1, 99), st.dictionaries(ID, TIME), st.none() | TIME),
    st.builds(transcript.Acted, TIME, ID, st.just("transfer"), TEXT, st.sampled_from(["planned", "asked", "done"])),
    st.builds(transcript.ToolUsed, TIME, st.integers(1, 99), ID, ID, TEXT, st.sampled_from(["asked", "done"]), TEXT),
    st.builds(transcript.Noted, TIME, TEXT),
    st.builds(transcript.Used, TIME, amount=TIME),
    st.builds(transcript.Finished, TIME, ID, TEXT),
)


@given(MEDIA)
def test_media_events_survive_the_stream(event: media.MediaEvent) -> None:
    assert media.decode(media.encode(event)) == event


@given(COMMANDS, st.integers(0, 10**6))
def test_commands_survive_the_stream_and_so_do_their_numbers(command: commands.Command, number: int) -> None:
    entry = commands.encode(command, number)
    assert commands.decode(entry) == command
    assert commands.number_of(entry) == number


@given(ENTRIES)
def test_transcript_entries_survive_the_stream(entry: transcript.Entry) -> None:
    assert transcript.decode(transcript.encode(entry)) == entry


@given(FIELDS)
def test_junk_is_a_bad_message_and_nothing_worse(fields: dict[bytes, bytes]) -> None:
    for decode in (media.decode, commands.decode, commands.number_of, transcript.decode):
        with contextlib.suppress(BadMessage):
            decode(fields)


@pytest.mark.parametrize("module", [media, commands, transcript])
def test_every_kind_of_message_has_a_place_in_its_codec(module: Any) -> None:
    defined = {
        value
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and isinstance(value, type) and value.__module__ == module.__name__
    }
    in_codec = set(module._KINDS.values()) | {media.Audio, commands.Speak}
    assert defined <= in_codec
