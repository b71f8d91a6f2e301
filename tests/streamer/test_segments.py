"""What the next playback is made of, whatever waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callbus.pcm import bytes_in
from streamer.segments import FIRST_PIECE_MS, LONGEST_PIECE_MS, File, PieceCutter, Segment

RATE = 8000
FILE = File("https://x/y.mp3", "a1")
CUTTER = PieceCutter(RATE)


def segment(ms: int, *, closed: bool = True, dropped: bool = False) -> Segment:
    return Segment("s", 0.0, pending=bytearray(bytes_in(ms, RATE)), closed=closed, dropped=dropped)


def taken(*items: Segment | File) -> list[int] | File:
    """The file, or how much is taken (ms), segment by segment."""
    found = CUTTER.next(items)
    return found if isinstance(found, File) else [length * 1000 // RATE // 2 for _, length in found]


def test_whole_segments_go_together_as_long_as_each_is_closed() -> None:
    assert taken(segment(1000), segment(300), segment(700, closed=False), segment(400)) == [1000, 300, 700]


def test_too_little_to_break_off_waits_a_short_segment_does_not() -> None:
    assert taken(segment(180, closed=False)) == []
    assert taken(segment(200, closed=False)) == [200]
    assert taken(segment(50)) == [50]
    assert taken(segment(50), segment(100, closed=False)) == [50]
    assert taken(segment(50), segment(150, closed=False)) == [50, 150]


def test_a_piece_is_at_most_so_long() -> None:
    assert taken(segment(4900), segment(4900)) == [4900, 100]


def test_a_file_is_sent_when_it_is_first_and_nothing_goes_past_it() -> None:
    assert taken(FILE, segment(300)) == FILE
    assert taken(segment(300), FILE, segment(300)) == [300]
    # Whose end is not known yet holds it up, one that is dropped does not.
    assert taken(segment(0, closed=False), FILE) == []
    assert taken(segment(0, closed=False, dropped=True), FILE) == FILE


waiting = st.lists(
    st.builds(segment, st.integers(0, 3000), closed=st.booleans(), dropped=st.booleans()) | st.just(FILE), max_size=6
)


@given(waiting)
def test_what_holds_for_every_piece(items: list[Segment | File]) -> None:
    before = [None if isinstance(item, File) else (item, len(item.pending)) for item in items]
    found = CUTTER.next(items)
    assert before == [None if isinstance(item, File) else (item, len(item.pending)) for item in items]
    if isinstance(found, File):
        ahead = items[: items.index(found)]
        assert all(isinstance(item, Segment) and not item.pending for item in ahead)
        return
    speech = [item for item in items if isinstance(item, Segment) and item.pending]
    assert [part for part, _ in found] == speech[: len(found)]
    assert all(length == len(part.pending) for part, length in found[:-1])
    total = sum(length for _, length in found)
    assert total <= bytes_in(LONGEST_PIECE_MS, RATE)
    if found and total < bytes_in(FIRST_PIECE_MS, RATE):
        last, length = found[-1]
        assert last.closed
        assert length == len(last.pending)
