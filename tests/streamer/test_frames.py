"""The frames of a client, cut out of any slicing of its bytes: the same messages as the whole parser finds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from streamer.frames import FrameCutter, whole_message

MAX_BYTES = 70_000

payloads = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([0, 125, 126, 320, 65_535, 65_536, MAX_BYTES]).map(
        lambda size: bytes(range(256)) * (size // 256) + bytes(size % 256)
    ),
)
frames = st.builds(
    Frame,
    st.sampled_from([Opcode.BINARY, Opcode.BINARY, Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE]),
    payloads,
    fin=st.booleans(),
)


def wire(frame: Frame, *, mask: bool = True) -> bytes:
    # Control frames may be neither long nor in pieces; the library would not write them.
    if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
        frame = Frame(frame.opcode, bytes(frame.data[:125]))
    return frame.serialize(mask=mask)


def sliced(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 1 << 20), max_size=8))
def test_frames_come_out_whole_however_they_arrive(sent: list[Frame], cuts: list[int]) -> None:
    wires = [wire(frame) for frame in sent]
    cutter = FrameCutter(MAX_BYTES)
    found = [frame for piece in sliced(b"".join(wires), cuts) for frame in cutter.cut(piece)]
    assert found == wires
    assert cutter.at_a_frame


@given(payloads, st.booleans())
def test_a_whole_binary_message_is_read_as_the_parser_reads_it(payload: bytes, masked: bool) -> None:
    data = Frame(Opcode.BINARY, payload).serialize(mask=masked)
    message = whole_message(data)
    if masked and len(payload) <= 65_535:
        assert message == payload
        assert whole_message(data + b"\0") is None
        assert whole_message(data[:-1]) is None
    else:
        assert message is None


@given(st.binary(max_size=400))
def test_nothing_else_is_taken_for_a_message(data: bytes) -> None:
    message = whole_message(data)
    if message is None:
        return
    parser = Protocol(Side.SERVER, max_size=MAX_BYTES)
    parser.receive_data(data)
    (frame,) = parser.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.BINARY, True, message)


@given(st.integers(MAX_BYTES + 15, (1 << 63) - 1), st.binary(max_size=50))
def test_a_frame_that_is_too_long_is_passed_on_at_once(length: int, more: bytes) -> None:
    head = b"\x82\xff" + length.to_bytes(8, "big") + b"mask"
    cutter = FrameCutter(MAX_BYTES)
    good = wire(Frame(Opcode.BINARY, b"fine"))
    assert list(cutter.cut(good + head + more)) == [good, head + more]
    # The parser has refused it: what follows is nobody's business any more, and is not kept.
    assert list(cutter.cut(good)) == [good]
    assert not cutter.at_a_frame


def test_an_unmasked_frame_is_passed_on_at_once() -> None:
    data = wire(Frame(Opcode.BINARY, bytes(320)), mask=False)
    assert list(FrameCutter(MAX_BYTES).cut(data[:10])) == [data[:10]]
