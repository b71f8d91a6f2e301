"""What was heard, and what a successor makes of what was written down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_worker.conversation.history import History
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.conversation.scripted import Sentence
from ai_worker.conversation.segment import Segment
from ai_worker.providers.base import SaidUntil
from ai_worker.saying import spoken
from callbus import transcript

texts = st.lists(st.text("abcdefgh,.'é", min_size=1, max_size=9), min_size=1, max_size=12).map(" ".join)
milliseconds = st.integers(0, 8000)


@given(texts, milliseconds, milliseconds, milliseconds, st.none() | st.integers(1, 8000))
def test_what_was_heard_grows_with_time_and_ends_with_a_word(
    text: str, earlier: int, later: int, total: int, synthesised: int | None
) -> None:
    earlier, later = sorted((earlier, later))
    segment = Segment("1", text, 1, synthesised_ms=synthesised)
    short, long = segment.heard_by(earlier, total), segment.heard_by(later, total)
    assert text.startswith(long)
    assert long.startswith(short)
    assert f"{text} ".startswith(f"{long} ") or not long


@given(texts, st.integers(1, 8000))
def test_a_segment_is_heard_whole_at_its_end_and_not_at_all_at_its_beginning(text: str, ms: int) -> None:
    segment = Segment("1", text, 1, synthesised_ms=ms)
    assert segment.heard_by(ms, ms) == text
    assert segment.heard_by(0, ms) == ""


@given(texts, st.integers(0, 8000))
def test_heard_and_unheard_are_all_of_it(text: str, ms: int) -> None:
    segment = Segment("1", text, 1)
    segment.heard = segment.heard_by(ms, 0)
    assert f"{segment.heard} {segment.unheard}".split() == text.split()


def test_a_word_that_was_cut_in_the_middle_was_not_heard() -> None:
    segment = Segment("1", "one two three", 1, synthesised_ms=1300)
    assert [segment.heard_by(ms, 1300) for ms in (250, 300, 400, 699, 700, 1299, 1300)] == [
        "",
        "one",
        "one",
        "one",
        "one two",
        "one two",
        "one two three",
    ]


def entries(*, resumed: bool) -> list[transcript.Entry]:
    written: list[transcript.Entry] = [
        transcript.CallerSaid(1.0, 0.0, 1, "Can I?", "7-0"),
        transcript.BotSays(2.0, "1.1", "You can do it.", 1),
        transcript.BotSays(2.0, "1.2", "It is free.", 1),
        transcript.BotHeard(3.0, "1.1", "You can", True),
        transcript.BotHeard(3.0, "1.2", "", True),
    ]
    if resumed:
        written += [
            transcript.BotSays(4.0, "1.3", "do it.", 1),
            transcript.BotSays(4.0, "1.4", "It is free.", 1),
            transcript.BotHeard(5.0, "1.3", "do it.", False),
        ]
    return written


def test_what_was_cut_off_is_the_unheard_ending() -> None:
    history = rebuilt_history(entries(resumed=False))
    assert history.unheard_ending() == [Sentence("do it."), Sentence("It is free.")]
    assert [message.content for message in history.messages("")] == ["Can I?", "You can …"]


def test_what_was_said_again_is_not_unheard() -> None:
    history = rebuilt_history(entries(resumed=True))
    assert history.unheard_ending() == [Sentence("It is free.")]
    assert [message.content for message in history.messages("")] == ["Can I?", "You can do it."]


def test_a_reply_that_was_given_up_for_another_is_not_said_again() -> None:
    written = [*entries(resumed=False), transcript.BotSays(4.0, "1.3", "Sorry, say that again.", 0)]
    assert rebuilt_history(written).unheard_ending() == [Sentence("Sorry, say that again.")]


def test_the_callers_words_end_what_the_bot_left_unsaid() -> None:
    history = rebuilt_history([*entries(resumed=False), transcript.CallerSaid(6.0, 5.0, 2, "No.", "9-0")])
    assert history.unheard_ending() == []
    assert history.unanswered
    assert (history.turn, history.resume_from) == (2, "9-0")


def test_an_action_is_pending_until_it_is_done_or_dropped() -> None:
    planned = transcript.Acted(6.0, "1.9-transfer", "transfer", "33", "planned")
    announcement = transcript.BotSays(6.0, "1.10", "One moment.", 1)

    def after(*more: transcript.Entry) -> History:
        return rebuilt_history([*entries(resumed=False), planned, *more])

    assert not after().announced
    assert after(announcement).announced
    asked = transcript.Acted(7.0, "1.9-transfer", "transfer", "33", "asked")
    history = after(announcement, asked)
    assert history.pending
    assert history.pending.asked
    assert after(transcript.Acted(7.0, "1.9-transfer", "transfer", "33", "dropped")).pending is None
    done = after(announcement, asked, transcript.Acted(7.0, "1.9-transfer", "transfer", "33", "done"))
    assert (done.pending, done.outcome, done.finished) == (None, "transferred", False)


def test_the_end_is_known() -> None:
    history = rebuilt_history([*entries(resumed=True), transcript.Finished(9.0, "caller_left", "closed")])
    assert (history.outcome, history.finished) == ("caller_left", True)


@given(texts, st.lists(st.integers(20, 900), min_size=12, max_size=12), milliseconds, milliseconds, st.integers(0, 12))
def test_what_was_heard_is_what_the_voice_says_it_was(
    text: str, word_ms: list[int], earlier: int, later: int, known: int
) -> None:
    words, said_ms = text.split(" "), 0
    timed: list[SaidUntil] = []
    for number, ms in enumerate(word_ms[: len(words)]):
        said_ms += ms
        timed.append(SaidUntil(len(" ".join(words[: number + 1])), said_ms))
    segment = Segment("1", text, 1, timed=timed[:known])
    for number, word in enumerate(timed[:known]):
        assert segment.heard_by(word.ms, word.ms) == " ".join(words[: number + 1])
        before = segment.heard_by(word.ms - 1, word.ms - 1)
        assert before == " ".join(words[:number])
    earlier, later = sorted((earlier, later))
    assert segment.heard_by(later, later).startswith(segment.heard_by(earlier, earlier))
    segment.synthesised_ms = said_ms
    assert segment.heard_by(said_ms, said_ms) == text


def test_the_words_of_a_voice_that_broke_off_are_not_more_than_it_said() -> None:
    text = "one two three four"
    segment = Segment("1", text, 1)
    # By the middling speaker's pace, all of it would be said by now.
    assert segment.heard_by(2000, 2000) == text
    segment.timed = [SaidUntil(3, 900), SaidUntil(7, 1900)]
    assert segment.heard_by(2000, 2000) == "one two"


def test_a_timed_number_is_heard_when_its_last_word_is() -> None:
    text = "Call 0184 now."
    said = spoken(text, "en").text
    number = said[len("Call ") : said.index(" now")]
    timed = [SaidUntil(len("Call "[:-1]), 300), SaidUntil(len("Call ") + len(number), 4000), SaidUntil(len(said), 4200)]
    segment = Segment("1", text, 1, timed=timed, synthesised_ms=4200)
    assert [segment.heard_by(ms, 4200) for ms in (299, 300, 3900, 4000, 4200)] == [
        "",
        "Call",
        "Call",
        "Call 0184",
        text,
    ]


def test_a_number_takes_as_long_as_its_words() -> None:
    text = "Please call 0184800000 today, thank you."
    segment = Segment("1.1", text, 1)
    segment.synthesised_ms = 8000
    # The ten figures take most of the time: a third of the way in, none of what follows them has been said.
    assert segment.heard_by(2700, 8000) == "Please call"
    assert segment.heard_by(7300, 8000).startswith("Please call 0184800000")
    assert segment.heard_by(8000, 8000) == text
