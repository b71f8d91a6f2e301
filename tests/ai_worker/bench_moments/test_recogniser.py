"""The speech-to-text of the moments: it hears what is in the audio that it is given, and nothing else."""

from __future__ import annotations

import numpy as np

from bench.moments.clips import RATE
from bench.moments.echo import returning
from bench.moments.moment import Moment, Pause, Sound, Words
from bench.moments.mouth import PlaceMouth
from bench.moments.providers import BotVoice
from bench.moments.recogniser import HeardCaller, Recogniser
from bench.moments.track import Track, compose
from ringover_sim.playout import Playout

TALK = Moment(
    "m",
    "pause",
    "answer",
    (Words("I would like to book a table and", tail="open"), Pause(0.8), Words("I need a high chair.")),
)


def sent(recogniser: Recogniser, moment: Moment, seed: int = 1) -> tuple[bytes, Track, int]:
    """What a caller has sent: half a second of the line, then the moment, then half a second of the line."""
    mouth, track = PlaceMouth(moment, seed), compose(moment)
    for _ in range(25):
        mouth.next_chunk(160)
    begins = mouth.begin(track.samples)
    for _ in range(len(track.samples) // 160 + 26):
        mouth.next_chunk(160)
    recogniser.callers.append(HeardCaller(mouth.sent, [(begins, track)]))
    return bytes(mouth.sent), track, begins


def cut(pcm: bytes, start: float, end: float) -> bytes:
    return pcm[2 * round(start) : 2 * round(end)]


def test_the_whole_turn_is_written_whole() -> None:
    recogniser = Recogniser()
    pcm, _, _ = sent(recogniser, TALK)

    assert recogniser.hear(pcm, "en") == "I would like to book a table and I need a high chair."


def test_audio_that_ends_in_the_pause_holds_the_words_before_it() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    end = begins + track.breaths[0].end
    text = recogniser.hear(cut(pcm, begins - 0.3 * RATE, end + 0.2 * RATE), "en")

    assert text.rstrip(".…, ") == "I would like to book a table and"
    assert text == recogniser.hear(cut(pcm, begins - 0.3 * RATE, end + 0.2 * RATE), "en")


def test_a_word_is_written_when_it_has_come_whole_while_more_is_to_come() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    first, last = track.breaths[0].borders[0], track.breaths[0].borders[2]
    start = begins - 0.3 * RATE
    nearly = cut(pcm, start, begins + last[1] - 0.05 * (last[1] - last[0]))

    assert recogniser.hear(nearly, "en").rstrip(".…, ") == "I would like"
    assert recogniser.so_far(nearly, "en").rstrip(".…, ") == "I would"
    assert recogniser.so_far(cut(pcm, start, begins + last[1]), "en").rstrip(".…, ") == "I would like"
    assert recogniser.so_far(cut(pcm, start, begins + first[0]), "en") == ""
    assert recogniser.so_far(pcm, "en") == recogniser.hear(pcm, "en")


def test_audio_that_begins_late_holds_the_words_after_it() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)

    assert recogniser.hear(cut(pcm, begins + track.breaths[1].start, len(pcm)), "en") == "I need a high chair."


def test_a_word_that_was_cut_is_not_heard() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    start, end = track.breaths[0].borders[5]

    text = recogniser.hear(cut(pcm, begins, begins + (start + end) / 2), "en")
    assert text.rstrip(".…, ") == "I would like to book"


def test_the_line_a_cough_and_silence_hold_no_words() -> None:
    recogniser = Recogniser()
    cough = Moment("c", "sound into silence", "stay quiet", (Sound("cough twice"),))
    pcm, _, _ = sent(recogniser, cough)

    assert recogniser.hear(pcm, "en") == ""
    assert recogniser.hear(bytes(RATE), "en") == ""
    assert recogniser.unknown == 0


def test_noise_over_the_words_changes_nothing() -> None:
    recogniser = Recogniser()
    noisy = Moment(
        "n", "noise while the caller talks", "answer", (Words("Where is the library?"),), background="babble"
    )
    pcm, _, _ = sent(recogniser, noisy)

    assert recogniser.hear(pcm, "en") == "Where is the library?"


def test_callers_at_the_same_time_are_told_apart() -> None:
    recogniser = Recogniser()
    first, _, _ = sent(recogniser, TALK, seed=1)
    second, _, _ = sent(recogniser, Moment("m", "complete", "answer", (Words("Yes, please."),)), seed=2)

    assert recogniser.hear(second, "en") == "Yes, please."
    assert recogniser.hear(first, "en").startswith("I would like")


def test_audio_with_a_hole_in_it_is_heard_around_the_hole() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    hole = begins + track.breaths[0].end + 800
    audio = cut(pcm, begins - 1600, hole) + cut(pcm, hole + 1600, len(pcm))

    assert recogniser.hear(audio, "en") == "I would like to book a table and I need a high chair."


def test_audio_of_nobody_is_counted() -> None:
    recogniser = Recogniser()
    sent(recogniser, TALK)
    other = np.random.default_rng(9).integers(-3000, 3000, RATE).astype("<i2").tobytes()

    assert recogniser.hear(other, "en") == ""
    assert recogniser.unknown == 1


def test_dictation_is_written_in_figures_and_joined() -> None:
    recogniser = Recogniser()
    email = Moment(
        "e",
        "dictated",
        "answer",
        (
            Words("My email is sarah dot miller", "My email is sarah.miller", "dictation"),
            Pause(0.9),
            Words("at gmail dot com.", "@gmail.com.", glued=True),
        ),
    )
    pcm, _, _ = sent(recogniser, email)

    assert recogniser.hear(pcm, "en") == "My email is sarah.miller@gmail.com."


def test_figures_stay_figures_when_only_the_first_word_is_missing() -> None:
    recogniser = Recogniser()
    words = Words("The postcode is six nine", "The postcode is 69.")
    pcm, track, begins = sent(recogniser, Moment("p", "dictated", "answer", (words,)))

    late = begins + track.breaths[0].borders[1][0]
    assert recogniser.hear(cut(pcm, late, len(pcm)), "en") == "Postcode is 69."


def test_two_tracks_of_one_call_are_one_caller() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    [caller] = recogniser.callers
    caller.tracks.append((10**6, track))

    assert recogniser.hear(cut(pcm, begins + track.breaths[1].start, len(pcm)), "en") == "I need a high chair."


def test_the_echo_of_the_bot_is_heard_where_nothing_hides_it() -> None:
    recogniser = Recogniser()
    pcm, track, begins = sent(recogniser, TALK)
    [caller] = recogniser.callers
    middle = begins + track.breaths[0].start + 4000
    caller.echo = lambda: [(800, 2400, "Welcome,"), (2400, 3900, "caller."), (middle, middle + 1000, "hidden")]

    assert recogniser.hear(cut(pcm, 0, begins), "en") == "Welcome, caller."
    assert recogniser.hear(pcm, "en") == "Welcome, caller. I would like to book a table and I need a high chair."


def test_the_words_of_the_bot_come_back_late_and_across_seams() -> None:
    voice, playout = BotVoice(), Playout(RATE, seam_gap_ms=20)
    spoken = voice.say("With pleasure. The library")
    playout.enqueue(spoken[:4000], at=800)
    playout.enqueue(spoken[4000:], at=800)
    playout.advance(40_000)

    words = returning(voice, playout.history, late_ms=100)
    assert [word for _, _, word in words] == ["With", "pleasure.", "The", "library"]
    assert words[0][0] == 800 + 800
    assert words[-1][1] == 800 + len(spoken) // 2 + 160 + 800


def test_words_that_were_not_played_to_their_end_do_not_come_back() -> None:
    voice, playout = BotVoice(), Playout(RATE)
    playout.enqueue(voice.say("With pleasure."), at=0)
    playout.silence(at=len(voice.say("With")) // 2 + 800)

    assert [word for _, _, word in returning(voice, playout.history, late_ms=60)] == ["With"]


def test_a_run_of_words_can_be_said_on_its_own() -> None:
    voice = BotVoice()

    assert len(voice.say("The library has been")) > len(voice.say("library has been")) > 8000
