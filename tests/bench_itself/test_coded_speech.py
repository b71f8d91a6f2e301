"""Speech whose words can be read back off the line."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import samplerate
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import chaos
from bench.coded_speech import MS_PER_CHAR, Codebook
from bench.providers import names
from callbus.transcript import Answered, BotSays, Entry, Noted

RATE = 8000


@pytest.fixture(scope="module")
def words() -> list[str]:
    generator = names()
    return [next(generator) for _ in range(300)]


def silence(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


def test_no_name_comes_twice(words: list[str]) -> None:
    assert len(set(words)) == len(words)


def test_a_sentence_is_read_back(words: list[str]) -> None:
    book = Codebook(words)
    text = f"{' '.join(words[:10]).capitalize()}. {' '.join(words[100:110])}!"
    heard = book.read(silence(500) + book.speak(text, RATE) + silence(500), RATE)
    assert [word.word for word in heard] == words[:10] + words[100:110]
    assert all(word.share > 0.95 for word in heard)
    assert heard[0].at_ms == pytest.approx(500, abs=50)


def test_another_rate_and_a_phone_line_do_not_matter(words: list[str]) -> None:
    book = Codebook(words)
    wide = np.frombuffer(book.speak(" ".join(words[:8]), 24000), "<i2").astype(np.float32) / 32768
    narrow = samplerate.resample(wide, 1 / 3, "sinc_fastest")
    noisy = narrow + np.random.default_rng(1).normal(0, 0.005, len(narrow))
    heard = book.read((noisy * 32767).astype("<i2").tobytes(), RATE)
    assert [word.word for word in heard] == words[:8]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_word_that_is_cut_is_known_by_how_much_was_heard(data: st.DataObject) -> None:
    generator = names()
    sentence = [next(generator) for _ in range(6)]
    book = Codebook(sentence)
    pcm = book.speak(" ".join(sentence), RATE)
    cut = data.draw(st.integers(0, len(pcm) // 2))
    heard = {word.word: word.share for word in book.read(pcm[: 2 * cut] + silence(300), RATE)}
    per_char = RATE * MS_PER_CHAR // 1000
    begins = 0
    for word in sentence:
        whole = min(1.0, max(0.0, (cut - begins) / (len(word) * per_char)))
        assert heard.get(word, 0.0) == pytest.approx(whole, abs=0.2)
        begins += (len(word) + 1) * per_char


def test_a_seam_in_a_word_makes_no_two_words_of_it(words: list[str]) -> None:
    book = Codebook(words)
    pcm = book.speak(words[3], RATE)
    heard = book.read(pcm[:2000] + silence(120) + pcm[2000:] + silence(100), RATE)
    assert [word.word for word in heard] == [words[3]]


def test_noise_and_silence_hold_no_words(words: list[str]) -> None:
    noise = np.random.default_rng(3).normal(0, 3000, RATE).astype("<i2").tobytes()
    assert Codebook(words).read(noise + silence(1000), RATE) == []


def test_a_sentence_that_is_said_again_is_found() -> None:
    messages = [{"role": "system", "content": ""}, {"role": "user", "content": "Hello?"}]
    said = chaos.answer(messages)
    book = Codebook(chaos.VOCABULARY)
    once = book.speak(said, RATE) + silence(300)
    assert chaos.twice(chaos.whole_words(book, once, RATE)) == []
    first, second = (sentence.lower() for sentence in said.rstrip(".").split(". "))
    again = chaos.whole_words(book, once + once, RATE)
    assert chaos.twice(again) == [first, second]
    # What was cut within its first words may be said again.
    cut = book.speak(said, RATE)[: 2 * RATE * MS_PER_CHAR // 1000 * (len(first) // 3)]
    assert chaos.twice(chaos.whole_words(book, cut + silence(500) + once, RATE)) == []


def test_what_the_local_model_copies_is_not_said_twice() -> None:
    said = chaos.answer([{"role": "user", "content": "Hello?"}]).split(". ")[0] + "."
    words = said.lower().rstrip(".").split()

    def answered(turn: int, *notes: str) -> list[Entry]:
        entries: list[Entry] = [Noted(float(turn), note) for note in notes]
        return [*entries, BotSays(float(turn), f"1.{turn}", said, turn), Answered(float(turn), turn)]

    local = "llm: openai-chat is kept out; local-llama took over"
    copied = chaos.copied_words([*answered(1), *answered(2, local), *answered(3, "tts: a failed (x); b took over")])
    assert copied == Counter(words)
    assert chaos.twice([*words, *words], copied) == []
    assert chaos.twice([*words, *words, *words], copied) == [" ".join(words)]
