"""Fixed texts: what of them can't be interrupted."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_worker.agent_fields import Misplaced
from ai_worker.agent_templates import check_marks
from ai_worker.conversation.scripted import Sentence, misplaced_mark, protect, sentences

texts = st.lists(st.sampled_from(["<<", ">>", "<", ">", "Hello there. ", "It is recorded", ".", "\n", " "])).map(
    "".join
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. How can I help you?", [Sentence("Hello. How can I help you?")]),
        (
            "Hello. <<This call is recorded.>> How can I help?",
            [Sentence("Hello."), Sentence("This call is recorded.", True), Sentence("How can I help?")],
        ),
        ("<<First things first. You owe us money.>>", [Sentence("First things first. You owe us money.", True)]),
        ("Is 1 < 2, or 2 > 1?", [Sentence("Is 1 < 2, or 2 > 1?")]),
        ("<<>>", []),
        ("", []),
    ],
)
def test_marked_parts_are_sentences_of_their_own(text: str, expected: list[Sentence]) -> None:
    assert sentences(text) == expected


@example("><<>>>Hello there. ")
@given(texts)
def test_marks_are_never_said_and_nothing_else_is_lost(text: str) -> None:
    if misplaced_mark(text):
        with pytest.raises(Misplaced):
            check_marks(text)
        return
    check_marks(text)
    said = sentences(text)
    assert not any("<<" in sentence.text or ">>" in sentence.text for sentence in said)
    letters = [char for sentence in said for char in sentence.text if char.isalpha()]
    assert letters == [char for char in text if char.isalpha()]
    assert all(sentence.protected for sentence in sentences(protect(text)))


@pytest.mark.parametrize(("text", "mark"), [("a << b", "<<"), ("a >> b", ">>"), ("<<a <<b>>", "<<"), ("<<a>>", "")])
def test_a_mark_without_a_partner(text: str, mark: str) -> None:
    assert misplaced_mark(text) == mark
