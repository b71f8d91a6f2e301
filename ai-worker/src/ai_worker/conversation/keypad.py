"""Keys that the caller presses, collected until they are one input."""

from __future__ import annotations

import math

from ai_worker.conversation.context import Context


class Keypad:
    """An input ends with # or with a pause: the timer `keys`. A # alone is an input ("to confirm, press hash")."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.digits = ""
        self._taken_at = -math.inf

    def press(self, digit: str) -> bool:
        """Whether the input is complete with this key."""
        if digit == "#":
            # The end of what a pause, or another #, has ended just before.
            late = self._context.now - self._taken_at < self._context.options.key_pause
            if not self.digits and not late:
                self.digits = digit
            return bool(self.digits)
        self.digits += digit
        self._context.timers.cancel("silence")
        self._context.after("keys", self._context.options.key_pause)
        return False

    @property
    def waiting(self) -> bool:
        """Whether an input is complete and was not taken."""
        return bool(self.digits) and not self._context.timers.running("keys")

    def take(self) -> str:
        self._context.timers.cancel("keys")
        self._taken_at = self._context.now
        digits, self.digits = self.digits, ""
        return digits
