"""The outline of a recording: the same however it comes in blocks, small however long it is, and kept in its record."""

from __future__ import annotations

import threading
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.jobs.outline import MOST_POINTS, Outline, Waveform
from ai_worker.jobs.recording import Recording, join
from support.jobs_parts import Stereo, steady, stereo, write_part

T0 = 1_732_266_000.0


def points(waveform: Waveform | None) -> tuple[list[int], list[int]]:
    assert waveform
    return list(b64decode(waveform.caller)), list(b64decode(waveform.bot))


def outline(audio: Stereo, rate: int = 8000, cuts: tuple[int, ...] = ()) -> Waveform:
    drawn = Outline(len(audio), rate)
    for block in np.split(audio, sorted(cut for cut in cuts if cut < len(audio))):
        drawn.add(block.astype("<i2").tobytes())
    return drawn.waveform()


def joined(folder: Path, before: Recording | None = None) -> Recording:
    made = join(folder, before=before, sample_rate=8000, complete=True, stop=threading.Event())
    assert made
    return made


def test_each_channel_has_its_loudest_sample_of_a_tenth_of_a_second() -> None:
    audio = np.concatenate(
        [steady(799, 0, 100), stereo((-32768, 0)), steady(800, 16384, 0), steady(1, 0, 32767), steady(10, 0, 0)]
    )
    drawn = outline(audio)
    assert drawn.ms_per_point == 100
    assert points(drawn) == ([255, 128, 0], [1, 0, 255])


@given(st.lists(st.integers(-32768, 32767), min_size=0, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_blocks_of_any_size_give_the_same(samples: list[int], cuts: list[int]) -> None:
    audio = stereo(*((value, -1 - value) for value in samples))
    # 4000 Hz and a point of 400 frames would never be full: rate 100 has points of 10 frames.
    assert outline(audio, 100, tuple(cuts)) == outline(audio, 100)
    expected = [
        max(min(32767, abs(value)) for value in samples[start : start + 10]) for start in range(0, len(samples), 10)
    ]
    assert points(outline(audio, 100))[0] == [round(value * 255 / 32767) for value in expected]


@pytest.mark.parametrize(("seconds", "ms"), [(1, 100), (100, 100), (101, 200), (1800, 1800), (3661, 3700)])
def test_a_long_recording_has_no_more_points_than_a_screen(seconds: int, ms: int) -> None:
    drawn = outline(steady(seconds * 80, 7, 9), rate=80)
    assert drawn.ms_per_point == ms
    caller, bot = points(drawn)
    assert len(caller) == len(bot) == -(-seconds * 1000 // ms) <= MOST_POINTS


def test_a_recording_has_the_outline_of_all_its_parts_and_keeps_it(tmp_path: Path) -> None:
    first = write_part(tmp_path, T0, steady(1600, 32767, 0))
    write_part(tmp_path, T0 + 0.5, steady(800, 0, 32767), session="m2", rate=8000)
    made = joined(tmp_path)
    assert points(made.waveform) == ([255, 255, 0, 0, 0, 0], [0, 0, 0, 0, 0, 255])
    for part in tmp_path.glob("*.part"):
        part.unlink()
    assert first.exists() is False
    kept = Recording.model_validate_json(made.model_dump_json())
    assert joined(tmp_path, kept).waveform == made.waveform
    write_part(tmp_path, T0 + 0.6, steady(800, 16384, 16384), session="m3")
    assert points(joined(tmp_path, kept).waveform) == ([255, 255, 0, 0, 0, 0, 128], [0, 0, 0, 0, 0, 255, 128])


def test_a_record_of_an_earlier_version_has_none_until_something_is_joined(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(800, 32767, 0))
    written = joined(tmp_path).model_dump(exclude={"waveform"})
    for part in tmp_path.glob("*.part"):
        part.unlink()
    earlier = Recording.model_validate(written)
    assert joined(tmp_path, earlier).waveform is None
