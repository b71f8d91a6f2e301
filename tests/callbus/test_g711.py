"""G.711 against the Recommendation's own tables and, for all 65 536 samples, against other implementations."""

import itertools
import warnings
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest

from callbus.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode

EVERY_SAMPLE = np.arange(-32768, 32768, dtype="<i2")
EVERY_CODE = bytes(range(256))


def ulaw_decision_values() -> list[int]:
    """x1…x127 of G.711 table 2a (14-bit units): 1, then 15 steps of 2, then 16 steps each of 4, 8, … 256."""
    steps = [1, *[2] * 15, *itertools.chain.from_iterable([2 << n] * 16 for n in range(1, 8))]
    return list(itertools.accumulate(steps))[:127]


def alaw_decision_values() -> list[int]:
    """x1…x127 of G.711 table 1a, in 13-bit units: 32 steps of 2, then 16 steps each of 4, 8, … 128."""
    steps = [*[2] * 32, *itertools.chain.from_iterable([2 << n] * 16 for n in range(1, 7))]
    return list(itertools.accumulate(steps))[:127]


def test_decision_tables_end_where_the_recommendation_says() -> None:
    assert ulaw_decision_values()[-1] == 7903
    assert ulaw_decision_values()[15] == 31
    assert alaw_decision_values()[-1] == 3968
    assert alaw_decision_values()[31] == 64


@pytest.mark.parametrize(
    ("code", "sample"),
    [(0x80, 32124), (0x00, -32124), (0xFF, 0), (0x7F, 0), (0xFE, 8), (0xEF, 132), (0xF0, 120), (0x8F, 16764)],
)
def test_ulaw_values_of_table_2(code: int, sample: int) -> None:
    assert ulaw_decode(bytes([code])) == sample.to_bytes(2, "little", signed=True)


@pytest.mark.parametrize(
    ("code", "sample"), [(0xAA, 32256), (0x2A, -32256), (0xD5, 8), (0x55, -8), (0xD4, 24), (0xC5, 264), (0xF5, 528)]
)
def test_alaw_values_of_table_1(code: int, sample: int) -> None:
    assert alaw_decode(bytes([code])) == sample.to_bytes(2, "little", signed=True)


def test_every_sample_falls_between_its_own_decision_values() -> None:
    samples = EVERY_SAMPLE.astype(int)
    magnitude = np.where(samples < 0, ~samples, samples)
    ulaw = np.frombuffer(ulaw_encode(EVERY_SAMPLE.tobytes()), np.uint8)
    alaw = np.frombuffer(alaw_encode(EVERY_SAMPLE.tobytes()), np.uint8)
    assert np.array_equal(~ulaw & 0x7F, np.searchsorted(ulaw_decision_values(), magnitude >> 2, side="right"))
    assert np.array_equal((alaw ^ 0x55) & 0x7F, np.searchsorted(alaw_decision_values(), magnitude >> 3, side="right"))
    assert np.array_equal(ulaw >= 0x80, samples >= 0)
    assert np.array_equal(alaw >= 0x80, samples >= 0)


@pytest.mark.parametrize(
    ("encode", "decode", "negative_zero"), [(ulaw_encode, ulaw_decode, {0x7F}), (alaw_encode, alaw_decode, set())]
)
def test_every_code_survives_the_round_trip(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes], negative_zero: set[int]
) -> None:
    again = encode(decode(EVERY_CODE))
    assert {code for code in EVERY_CODE if again[code] != code} == negative_zero


def libav_decode(codec: str, companded: bytes) -> bytes:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in context.decode(av.Packet(companded)))


def libav_encode(codec: str, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> bytes:
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    context.time_base = Fraction(1, 8000)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


@pytest.mark.parametrize(("codec", "decode"), [("pcm_mulaw", ulaw_decode), ("pcm_alaw", alaw_decode)])
def test_decoding_is_libavs(codec: str, decode: Callable[[bytes], bytes]) -> None:
    assert decode(EVERY_CODE) == libav_decode(codec, EVERY_CODE)


@pytest.mark.parametrize(("codec", "encode"), [("pcm_mulaw", ulaw_encode), ("pcm_alaw", alaw_encode)])
def test_encoding_is_libavs_but_for_ties(codec: str, encode: Callable[[bytes], bytes]) -> None:
    """libav decides at the middle of two levels, G.711 at its decision values: a few samples differ, by one step."""
    toggle = 0 if codec == "pcm_mulaw" else 0x55
    ours = np.frombuffer(encode(EVERY_SAMPLE.tobytes()), np.uint8) ^ toggle
    theirs = np.frombuffer(libav_encode(codec, EVERY_SAMPLE), np.uint8) ^ toggle
    steps = np.abs(ours.astype(int) - theirs.astype(int))
    same_sign = (ours ^ theirs) < 0x80
    assert steps[same_sign].max() <= 1
    assert np.all(np.abs(EVERY_SAMPLE[~same_sign].astype(int)) <= 4)
    assert np.count_nonzero(steps) < 1000


def test_alaw_is_the_standard_librarys() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="audioop left the standard library in Python 3.13")
    assert alaw_encode(EVERY_SAMPLE.tobytes()) == audioop.lin2alaw(EVERY_SAMPLE.tobytes(), 2)
    assert alaw_decode(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)
    assert ulaw_decode(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)


@pytest.mark.parametrize("encode", [ulaw_encode, alaw_encode])
def test_half_a_sample_is_refused(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError):
        encode(b"\x00\x00\x00")
    assert encode(b"") == b""
