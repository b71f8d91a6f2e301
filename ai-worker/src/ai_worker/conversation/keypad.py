"""Keys that the caller presses, collected until they are one input."""

from __future__ import annotations

from ai_worker.conversation.context import Context


class Keypad:
    """An input ends with # or with a pause: the timer `keys`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.digits = ""

    def press(self, digit: str) -> bool:
        """Whether the input is complete with this key."""
        if digit == "#":
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
        digits, self.digits = self.digits, ""
        return digits
