"""Text is cut into sentences to be spoken, whatever pieces it comes in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ai_worker.conversation.sentences import MAX_CHARS, MIN_CHARS, SentenceSplitter, split_sentences

WORDS = [
    "Hello",
    "a",
    "no",
    "Dr",
    "e.g",
    "3.5",
    "library",
    "open",
    "nine",
    "it’s",
    "*bold*",
    "10",
    "wherever",
    "und",
    "é",
    "図書館です",
    "www.x.com",
]
ENDS = [
    " ", " ", " ", " ", ". ", ", ", "? ", "! ", "… ", ".\n", "\n\n", ": ", '." ', "\n- ", " – ", "... ",
    "。", "！？", "。」", "、", "。 ",
]  # fmt: skip
texts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(ENDS)), max_size=90).map(
    lambda pairs: "".join(word + end for word, end in pairs)
)


def spoken(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def split(text: str, cuts: list[int], *, early: bool) -> list[str]:
    splitter = SentenceSplitter(early=early)
    found: list[str] = []
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in pairwise(edges):
        found += splitter.feed(text[begin:end])
    return found + splitter.flush()


@settings(deadline=None, database=None)
@example("word " * 50 + "at last. And more of it.", [100], False)
@example("This is quite a long sentence." + " " * 60 + "word " * 45, [40], False)
@given(texts | st.text(max_size=600), st.lists(st.integers(0, 600), max_size=40), st.booleans())
def test_no_text_is_lost_and_any_chunking_gives_the_same(text: str, cuts: list[int], early: bool) -> None:
    whole = split(text, [], early=early)
    assert split(text, cuts, early=early) == whole
    assert split(text, list(range(len(text))), early=early) == whole
    assert spoken("".join(whole)) == spoken(text)
    assert all(len(sentence) <= MAX_CHARS and spoken(sentence) for sentence in whole)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("We are open today. Come and see us. Bye.", ["We are open today. Come and see us.", "Bye."]),
        ("Dr. Smith is here from nine to five. Ask for him.", ["Dr. Smith is here from nine to five.", "Ask for him."]),
        ("It costs 3.50 a page, that is all. Right?", ["It costs 3.50 a page, that is all.", "Right?"]),
        ("**Opening hours**\n- from nine\n- to seven on weekdays", ["Opening hours from nine", "to seven on weekdays"]),
        (
            "図書館は九時から七時まで開いております。カードをお持ちください！ほかにご質問は？",
            ["図書館は九時から七時まで開いております。", "カードをお持ちください！", "ほかにご質問は？"],
        ),
        ("「はい、明日は開いております。」と言われました。", ["「はい、明日は開いております。」", "と言われました。"]),
        ("本当ですか！？はい、もちろん本当です。", ["本当ですか！？はい、もちろん本当です。"]),
        ("我们早上九点到晚上七点开门。请带上您的借书卡。", ["我们早上九点到晚上七点开门。", "请带上您的借书卡。"]),
        ("See www.x.com or 3.5 e.g.this one.It goes on", ["See www.x.com or 3.5 e.g.this one.It goes on"]),
        ("", []),
        ("...", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_speech_may_begin_with_a_clause_but_goes_on_with_sentences() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Members of the library, ") == ["Members of the library,"]
    assert splitter.feed("who have a valid card, can borrow a laptop") == []
    assert splitter.feed(". ") == ["who have a valid card, can borrow a laptop."]
    assert splitter.feed("Short. ") == []
    assert splitter.flush() == ["Short."]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Of course. I will do that.", ["Of course."]),
        ("Thank you, I have written that down.", ["Thank you,"]),
        ("No, we are closed. I am sorry.", ["No, we are closed."]),
        ("Dr. Ho, in room 12.", []),
    ],
)
def test_a_short_clause_is_enough_to_begin_with_but_not_a_single_short_word(text: str, first: list[str]) -> None:
    assert SentenceSplitter().feed(text)[:1] == first


def test_a_sentence_without_a_space_after_it_is_said_before_the_answer_is_whole() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("はい、かしこまりました。") == []
    assert splitter.feed("少々お待ちください。図") == ["はい、かしこまりました。", "少々お待ちください。"]
    assert splitter.flush() == ["図"]


def test_a_run_on_text_is_cut_between_words() -> None:
    text = "word " * 200
    pieces = split_sentences(text)
    assert all(MIN_CHARS <= len(piece) <= MAX_CHARS for piece in pieces[:-1])
    assert {word for piece in pieces for word in piece.split()} == {"word"}
