"""What the streamer does for a caller whom no worker serves: play a file, then transfer to a human."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamer import commands
from streamer.segments import File
from streamer.settings import StreamerSettings
from streamer.speech import Speech


class Fallback:
    """One call's fallback. It happens once; a worker that speaks before the transfer calls it off."""

    def __init__(self, settings: StreamerSettings, speech: Speech, send_text: Callable[[str], None]) -> None:
        self._play_url = settings.fallback_play_url
        self._number = settings.fallback_transfer_number
        self._delay_s = settings.fallback_transfer_delay_s
        self._speech = speech
        self._send_text = send_text
        self._timer: asyncio.TimerHandle | None = None
        self._playing = False
        self.begun = False

    def begin(self) -> None:
        """Do what is configured."""
        self.begun = True
        # What a worker that died has said is heard; what it was about to say is not begun.
        self._speech.take_over()
        if self._play_url:
            self._playing = True
            self._speech.play(File(self._play_url, ""))
        if self._number:
            delay = self._delay_s if self._play_url else 0.0
            self._timer = asyncio.get_running_loop().call_later(delay, self._transfer, self._number)

    def call_off(self) -> None:
        """A worker speaks."""
        self.close()
        if self._playing:
            self._playing = False
            self._speech.break_()

    def close(self) -> None:
        """The session is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _transfer(self, number: str) -> None:
        self._timer = None
        self._playing = False
        self._send_text(commands.transfer(number))
