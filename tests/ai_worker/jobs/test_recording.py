"""Joining a recording's parts: positions and lengths on one timeline, and nothing lost when a run is cut short."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.jobs.recording import LONGEST_SPAN_S, Recording, join, remove_parts
from support.jobs_parts import Stereo, read_wav, steady, stereo, write_part

T0 = 1_732_266_000.0


def joined(folder: Path, before: Recording | None = None, *, rate: int = 8000, complete: bool = True) -> Recording:
    recording = join(folder, before=before, sample_rate=rate, complete=complete, stop=threading.Event())
    assert recording is not None
    return recording


def wav(folder: Path) -> Stereo:
    return read_wav(folder / "call.wav")[1]


def test_one_part_becomes_the_recording(tmp_path: Path) -> None:
    audio = stereo((1, -1), (2, -2), (32767, -32768))
    part = write_part(tmp_path, T0, audio)
    recording = joined(tmp_path)
    rate, heard = read_wav(tmp_path / "call.wav")
    assert rate == 8000
    assert np.array_equal(heard, audio)
    assert recording.model_dump(exclude={"duration_s", "waveform"}) == {
        "file": "call.wav",
        "channels": ("caller", "bot"),
        "sample_rate": 8000,
        "started_at": T0,
        "parts": (part.name,),
        "complete": True,
        "notes": (),
    }


def test_what_was_dropped_between_two_sessions_is_silence(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(4000, 1, 2))
    write_part(tmp_path, T0 + 2, steady(800, 3, 4), session="m2")
    recording = joined(tmp_path)
    heard = wav(tmp_path)
    assert (heard[:4000] == (1, 2)).all()
    assert not heard[4000:16_000].any()
    assert (heard[16_000:] == (3, 4)).all()
    assert len(heard) == 16_800
    assert recording.duration_s == 2.1


def test_where_two_sessions_overlap_the_later_one_is_right(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(8000, 1, 2), session="m1")
    write_part(tmp_path, T0 + 0.5, steady(800, 3, 4), session="m2")
    recording = joined(tmp_path)
    heard = wav(tmp_path)
    assert len(heard) == 4800
    assert (heard[:4000] == (1, 2)).all()
    assert (heard[4000:] == (3, 4)).all()
    assert "0.50 s overlap" in recording.notes[0]


def test_another_rate_is_brought_to_the_first_ones(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(800, 0, 0))
    time = np.arange(16_000) / 16_000
    tone = np.stack([8000 * np.sin(2 * np.pi * 440 * time), 4000 * np.sin(2 * np.pi * 880 * time)], axis=1)
    write_part(tmp_path, T0 + 1, tone.astype("<i2"), session="m2", rate=16_000)
    joined(tmp_path)
    rate, heard = read_wav(tmp_path / "call.wav")
    assert rate == 8000
    assert len(heard) == 16_000
    spectrum = np.abs(np.fft.rfft(heard[8000:].astype(float), axis=0))
    assert list(spectrum.argmax(axis=0)) == [440, 880]
    assert np.allclose(np.abs(heard[9000:15_000]).max(axis=0), (8000, 4000), rtol=0.03)


def test_another_rate_is_heard_to_its_end_torn_or_not(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(800, 0, 0))
    write_part(tmp_path, T0 + 1, steady(3000, 5000, 5000), session="m2", rate=16_000, torn=b"\x01")
    joined(tmp_path)
    heard = wav(tmp_path)
    assert len(heard) == 8000 + 1500
    assert (heard[-20:] > 2000).all()  # a cut without a fade rings a little


def test_a_torn_tail_is_left_out_and_noted(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(10, 1, 2), torn=b"\x01\x02\x03")
    recording = joined(tmp_path)
    assert len(wav(tmp_path)) == 10
    assert "3 bytes left out" in recording.notes[0]


@pytest.mark.parametrize(
    "sidecar", [None, "", "{", "[]", '{"sample_rate": 0, "started_at": 1}', '{"sample_rate": 8000}']
)
def test_without_a_sidecar_the_name_and_the_calls_rate_serve(tmp_path: Path, sidecar: str | None) -> None:
    part = write_part(tmp_path, T0 + 0.25, steady(16, 1, 2))
    if sidecar is None:
        part.with_suffix(".json").unlink()
    else:
        part.with_suffix(".json").write_text(sidecar)
    recording = joined(tmp_path, rate=16_000)
    assert (recording.sample_rate, recording.started_at, recording.duration_s) == (16_000, T0 + 0.25, 0.001)
    assert "sidecar" in recording.notes[0]


def test_a_file_with_a_strange_name_is_left_alone(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(10, 1, 2))
    (tmp_path / "notes.part").write_bytes(bytes(40))
    recording = joined(tmp_path)
    remove_parts(tmp_path, recording)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.wav", "notes.part"]
    assert "notes.part" in recording.notes[0]


def test_a_part_hours_away_is_left_alone(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(10, 1, 2))
    late = write_part(tmp_path, T0 + LONGEST_SPAN_S + 1, steady(10, 1, 2), session="m2")
    recording = joined(tmp_path)
    remove_parts(tmp_path, recording)
    assert len(wav(tmp_path)) == 10
    assert late.exists()
    assert late.name in recording.notes[0]


def test_a_part_hours_before_the_recording_is_left_alone(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(10, 1, 2))
    first = joined(tmp_path)
    remove_parts(tmp_path, first)
    early = write_part(tmp_path, 1.0, steady(10, 3, 4), session="m2")
    second = joined(tmp_path, first)
    remove_parts(tmp_path, second)
    assert (wav(tmp_path) == (1, 2)).all()
    assert second.started_at == T0
    assert early.exists()


def test_empty_parts_make_no_recording(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(0, 0, 0))
    recording = joined(tmp_path)
    assert recording.file is None
    remove_parts(tmp_path, recording)
    assert list(tmp_path.iterdir()) == []


def test_nothing_there_is_no_recording(tmp_path: Path) -> None:
    assert join(tmp_path, before=None, sample_rate=8000, complete=True, stop=threading.Event()) is None


def test_again_without_parts_keeps_the_recording(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(100, 1, 2))
    first = joined(tmp_path)
    remove_parts(tmp_path, first)
    before = (tmp_path / "call.wav").stat()
    assert joined(tmp_path, first) == first
    assert (tmp_path / "call.wav").stat() == before


def test_a_recording_whose_record_is_gone_is_still_known(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(100, 1, 2))
    remove_parts(tmp_path, joined(tmp_path))
    found = joined(tmp_path)
    assert (found.file, found.duration_s) == ("call.wav", 0.013)


def test_a_part_that_comes_later_is_added(tmp_path: Path) -> None:
    write_part(tmp_path, T0, steady(8000, 1, 2))
    first = joined(tmp_path)
    remove_parts(tmp_path, first)
    write_part(tmp_path, T0 + 2, steady(8000, 3, 4), session="m2")
    second = joined(tmp_path, first)
    remove_parts(tmp_path, second)
    heard = wav(tmp_path)
    assert (heard[:8000] == (1, 2)).all()
    assert not heard[8000:16_000].any()
    assert (heard[16_000:] == (3, 4)).all()
    assert len(second.parts) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.wav"]


def test_a_part_that_was_still_growing_is_kept_and_joined_whole_later(tmp_path: Path) -> None:
    part = write_part(tmp_path, T0, steady(100, 1, 2))
    first = joined(tmp_path, complete=False)
    remove_parts(tmp_path, first)
    assert part.exists()
    write_part(tmp_path, T0, steady(900, 1, 2))
    second = joined(tmp_path, first)
    remove_parts(tmp_path, second)
    assert len(wav(tmp_path)) == 900
    assert not part.exists()


def test_giving_up_leaves_everything_as_it_was(tmp_path: Path) -> None:
    part = write_part(tmp_path, T0, steady(100, 1, 2))
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        join(tmp_path, before=None, sample_rate=8000, complete=True, stop=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == [part.with_suffix(".json").name, part.name]


PARTS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 1500)), min_size=1, max_size=6)
"""(start in ms after T0, length in frames); a later one begins later, or wins by its name."""


@given(PARTS, st.sampled_from([8000, 16_000]))
@settings(max_examples=60, deadline=None)
def test_every_frame_is_the_latest_sessions_or_silence(parts: list[tuple[int, int]], rate: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (start_ms, frames) in enumerate(parts):
            write_part(
                folder, T0 + start_ms / 1000, steady(frames, number + 1, -number - 1), session=f"m{number}", rate=rate
            )
        recording = joined(folder)
        sounding = sorted((start_ms, number, frames) for number, (start_ms, frames) in enumerate(parts) if frames)
        if not sounding:
            assert recording.file is None
            return
        origin = sounding[0][0]
        expected = np.zeros((0, 2), dtype="<i2")
        for start_ms, number, frames in sounding:
            start = (start_ms - origin) * rate // 1000
            silence = steady(max(0, start - len(expected)), 0, 0)
            expected = np.concatenate([expected[:start], silence, steady(frames, number + 1, -number - 1)])
        assert recording.started_at == pytest.approx(T0 + origin / 1000)
        assert recording.duration_s == pytest.approx(len(expected) / rate, abs=0.001)
        assert np.array_equal(wav(folder), expected)


@given(PARTS, PARTS, st.sampled_from(["joined", "recorded", "half removed", "removed"]))
@settings(max_examples=60, deadline=None)
def test_a_run_killed_anywhere_loses_nothing(
    parts: list[tuple[int, int]], later: list[tuple[int, int]], killed_when: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write(batch: list[tuple[int, int]], after_ms: int, first: int) -> None:
            for number, (start_ms, frames) in enumerate(batch, first):
                write_part(
                    folder, T0 + (after_ms + start_ms) / 1000, steady(frames, number, -number), session=f"m{number}"
                )

        write(parts, 0, 1)
        first = joined(folder)
        recorded = first if killed_when != "joined" else None
        if killed_when == "half removed":
            (folder / first.parts[0]).unlink()
        if killed_when == "removed":
            remove_parts(folder, first)
        # What the job does when it is run again, after more parts arrived.
        remove_parts(folder, recorded)
        write(later, 3001, 101)  # no two at the same moment: then their names would decide
        last = joined(folder, recorded)
        remove_parts(folder, last)
        after = wav(folder) if last.file else None
        assert not list(folder.glob("*.part"))

        (folder / "call.wav").unlink(missing_ok=True)
        write(parts, 0, 1)
        write(later, 3001, 101)
        undisturbed = joined(folder)
        assert (last.file, last.duration_s) == (undisturbed.file, undisturbed.duration_s)
        if after is not None:
            assert np.array_equal(after, wav(folder))
