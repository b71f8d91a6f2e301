"""What is asked and answered in the calls of a fleet: every question has a name, every answer words of its own.

So what a caller heard, what the system understood, what its model was shown and what its tools were asked for can each
be traced to one question of one caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from bench.coded_speech import Codebook
from bench.providers import names
from support.fake_providers import Answer, ToolRequest

Kind = Literal["plain", "tool", "digits", "transfer"]

TEXTS = {
    "greeting": "Good morning, from maple street.",
    "filler": "One moment please.",
    "apology": "Sorry, something broke here.",
    "not_possible": "That cannot happen now.",
    "reprompt": "Again, slowly.",
    "goodbye": "Until then, bye.",
    "first_prompt": "Are you there?",
    "second_prompt": "Still with me?",
}
"""What the agent says of its own accord: no word is in two of them."""
MORE = "Anything else today?"
"""What the model says when it is to go on, and nothing is missing."""
FIXED = {name: re.findall(r"\w+", text.lower()) for name, text in (*TEXTS.items(), ("more", MORE))}
WORDS_A_SENTENCE, SENTENCES = 5, 2
WORDS_AN_ANSWER = WORDS_A_SENTENCE * SENTENCES
BLOCKS = 195
BLOCKS_APART = 7
"""Between the answers of one caller and those of the next: who hears another caller's answers is found out."""
_ALL_NAMES = names()
VOCABULARY = list(islice(_ALL_NAMES, BLOCKS * WORDS_AN_ANSWER))
TRANSFER_NUMBER = "33187654321"
_UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: who asks (from 0), the how manieth it is (from 0), and what it makes the model do first."""

    caller: int
    number: int
    name: str
    kind: Kind

    @property
    def text(self) -> str:
        """As speech-to-text writes it."""
        return f"What about the {self.name}?"

    @property
    def digits(self) -> str:
        """What is to be pressed for it."""
        return f"{self.caller + 10}{self.number:03}"

    @property
    def answer(self) -> list[str]:
        """The words of its answer."""
        block = (BLOCKS_APART * self.caller + self.number) % BLOCKS
        return VOCABULARY[block * WORDS_AN_ANSWER : (block + 1) * WORDS_AN_ANSWER]


def sentences(words: Sequence[str]) -> list[list[str]]:
    """An answer's words, sentence by sentence."""
    return [list(words[start : start + WORDS_A_SENTENCE]) for start in range(0, len(words), WORDS_A_SENTENCE)]


def written(words: Sequence[str]) -> str:
    """Words of an answer as the model writes them; they need not begin with a sentence."""
    text = ""
    for word in words:
        first = VOCABULARY.index(word) % WORDS_A_SENTENCE == 0
        last = VOCABULARY.index(word) % WORDS_A_SENTENCE == WORDS_A_SENTENCE - 1
        text += (word.capitalize() if first else word) + (". " if last else " ")
    return text.strip()


def codebook() -> Codebook:
    """Everything that a bot can say."""
    return Codebook([*(word for words in FIXED.values() for word in words), *VOCABULARY])


@dataclass(slots=True)
class Talk:
    """Gives out questions, and answers them as a model does. `kinds` are those of one caller's questions, in turn."""

    kinds: tuple[Kind, ...] = ("plain", "tool", "plain", "digits")
    asked: dict[str, Question] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    """Requests of the model that did not show every understood question of the call so far, once and in order."""
    understood: set[str] = field(default_factory=set)
    """Names of the questions that speech-to-text has understood: what is spoken into a dead line nobody hears."""
    unknown_results: int = 0
    """How often the model was told that a tool's result is not known."""
    went_on: int = 0
    """How often the model was asked for the rest of an answer."""
    _names: Iterator[str] = field(default_factory=lambda: _ALL_NAMES)

    def question(self, caller: int, number: int, kind: Kind | None = None) -> Question:
        """The caller's next question; callers don't begin with the same kind."""
        kind = kind or self.kinds[(caller + number) % len(self.kinds)]
        question = Question(caller, number, next(self._names), kind)
        self.asked[question.name] = question
        return question

    def named(self, text: str) -> list[Question]:
        """The questions whose names are in a text."""
        return [self.asked[word] for word in re.findall(r"\w+", text) if word in self.asked]

    def answer(self, messages: list[dict[str, Any]]) -> Answer:
        """What the model says, or wants done, at this point of a call."""
        last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)
        if last is None or not (asked := self.named(str(messages[last]["content"]))):
            return MORE
        self._check(messages)
        since = messages[last + 1 :]
        done = [call for message in since for call in message.get("tool_calls") or ()]
        self.unknown_results += any(
            message["role"] == "tool" and _UNKNOWN in str(message["content"]) for message in since[-1:]
        )
        question = asked[-1]
        words = [word for one in asked for word in one.answer]
        said = {word for message in since for word in re.findall(r"\w+", str(message.get("content") or "").lower())}
        rest = words[max((i + 1 for i, word in enumerate(words) if word in said), default=0) :]
        if since and since[-1]["role"] == "system":
            self.went_on += 1
            return written(rest) or MORE
        if done or question.kind == "plain":
            return written(rest) or MORE
        return _wanted(question)

    def _check(self, messages: list[dict[str, Any]]) -> None:
        shown = self.named(" ".join(str(m["content"]) for m in messages if m["role"] == "user"))
        latest = shown[-1]
        known = [self.asked[name] for name in self.asked if name in self.understood]
        expected = [one for one in known if one.caller == latest.caller and one.number <= latest.number]
        if shown != expected:
            numbers, wanted = ([question.number for question in questions] for questions in (shown, expected))
            self.forgotten.append(f"caller {latest.caller}: the model was shown the questions {numbers} of {wanted}")


def _wanted(question: Question) -> Answer:
    match question.kind:
        case "digits":
            # Keys are pressed when what was said before them was heard; nothing is said after them.
            return [written(question.answer), ToolRequest("press_digits", json.dumps({"digits": question.digits}))]
        case "transfer":
            return ToolRequest("transfer", json.dumps({"to": "human", "say": written(question.answer)}))
        case _:
            return ToolRequest("look_up", json.dumps({"what": question.name}))


PATIENT_NUMBER = "33199990000"


def patient_agent() -> str:
    """The file of an agent that a caller who never says a word keeps for six minutes, called by PATIENT_NUMBER."""
    fields = {
        "name": "patient",
        "numbers": [PATIENT_NUMBER],
        "greeting": TEXTS["greeting"],
        "instructions": "You answer the phone.",
        "limits": {"silence_s": 120},
    }
    return json.dumps(fields, indent=2)


def agent(tool_url: str) -> str:
    """The agent's file."""
    said = {key: text for key, text in TEXTS.items() if key not in ("filler", "first_prompt", "second_prompt")}
    fields = {
        "name": "fleet",
        "default": True,
        "recording": False,
        "instructions": "You answer the phone. Caller: {caller_number}",
        **said,
        "silence_prompts": [TEXTS["first_prompt"], TEXTS["second_prompt"]],
        "transfer": {"human": TRANSFER_NUMBER},
        "tools": [
            "transfer",
            "press_digits",
            {
                "name": "look_up",
                "description": "Looks something up.",
                "method": "POST",
                "url": f"{tool_url}/look_up",
                "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
                "filler": TEXTS["filler"],
            },
        ],
    }
    # JSON is YAML.
    return json.dumps(fields, indent=2)
