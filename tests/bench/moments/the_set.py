"""The set: every moment by its name. Its rules:

- What the caller says is balanced between what is whole, what breaks off, what is dictated, and what interrupts.
- A pause inside a sentence is 0.4 to 1.2 s long, and comes where people pause: after a conjunction, a filler, a
  preposition, an article. Twice it comes after words that could be all, and is short.
- A pause inside something dictated is 0.5 to 1.5 s long. Half of what is dictated ends with its last figure or letter,
  the other half with closing words.
"""

from __future__ import annotations

from bench.moments.moment import Moment
from bench.moments.over_silence import OVER_SILENCE
from bench.moments.over_speech import OVER_SPEECH

MOMENTS: tuple[Moment, ...] = (*OVER_SILENCE, *OVER_SPEECH)
