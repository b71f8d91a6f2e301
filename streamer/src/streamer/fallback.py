"""What the streamer does for a caller whom no worker serves: play a file, then transfer to a human."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamer import commands
from streamer.segments import File
from streamer.settings import StreamerSettings
from streamer.speech import Speech


class Fallback:
    """One session's fallback, until a worker speaks. The transfer is ordered once a call.

    A worker that calls it off and then dies too has it begin anew, as has a caller who drops out of it and comes back.
    """

    def __init__(self, settings: StreamerSettings, speech: Speech, send_text: Callable[[str], None]) -> None:
        self._play_url = settings.fallback_play_url
        self._number = settings.fallback_transfer_number
        self._delay_s = settings.fallback_transfer_delay_s
        self._speech = speech
        self._send_text = send_text
        self._timer: asyncio.TimerHandle | None = None
        self._playing = False
        self._transferred = False
        self._begun = False

    @property
    def under_way(self) -> bool:
        """The caller is served by it, and was not transferred yet."""
        return self._begun and not self._transferred and bool(self._play_url or self._number)

    def succeed(self, old: Fallback) -> None:
        """The call of another session goes on in this one."""
        self._transferred = old._transferred
        if old._begun:
            self.begin()

    def begin(self) -> bool:
        """Do what is configured; False when it is being done, or the caller was transferred before."""
        if self._begun or self._transferred:
            return False
        self._begun = True
        # What a worker that died has said is heard; what it was about to say is not begun.
        self._speech.take_over()
        if self._play_url:
            self._playing = True
            self._speech.play(File(self._play_url, ""))
        if self._number:
            delay = self._delay_s if self._play_url else 0.0
            self._timer = asyncio.get_running_loop().call_later(delay, self._transfer, self._number)
        return True

    def call_off(self) -> None:
        """A worker speaks."""
        self.close()
        self._begun = False
        if self._playing:
            self._playing = False
            self._speech.break_()

    def close(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _transfer(self, number: str) -> None:
        self._timer = None
        self._playing = False
        self._transferred = True
        self._send_text(commands.transfer(number))
