"""Places one call: rings, answers, streams, follows the script, hangs up, and reports."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from functools import cache
from pathlib import Path

import httpx

from ringover_sim import script as steps
from ringover_sim.errors import StreamerError
from ringover_sim.line import PhoneLine
from ringover_sim.measure import summarise
from ringover_sim.media import MediaConnection, Target, encoder, metadata, open_connection, target
from ringover_sim.mouth import COMFORT_LEVEL, Mouth
from ringover_sim.recorder import OnEvent, Recorder
from ringover_sim.report import CallReport, ConnectionSeen, EndedBy, WebhookSeen
from ringover_sim.runner import Behaviour, ScriptRunner
from ringover_sim.speech import LocalVoice, Voice, noise_rms, prepare
from ringover_sim.webhooks import EventName, Parties, WebhookSender

WEBHOOK_TIMEOUT = httpx.Timeout(5.0)
RECONNECT_PAUSE_S = 0.3


async def place_call(
    script: steps.CallScript,
    *,
    gateway_url: str | None,
    streamer_url: str,
    secret: str = "",
    token: str | None = None,
    voice: Voice | None = None,
    base: Path | None = None,
    on_event: OnEvent | None = None,
    behaviour: Behaviour | None = None,
) -> CallReport:
    """One call in real time.

    `gateway_url` None: no webhooks. `token`: for the streamer. `voice`: who speaks the lines, the local TTS by
    default. `base`: the folder that paths of the script are relative to. `on_event`: told of every timeline entry.
    `behaviour`: who performs steps instead of the script's; what is said must be a line of the script.
    Raises SimulatorError when the call could not be placed; what went wrong within it is in the report.
    """
    folder = base or Path()
    speaker = voice or LocalVoice(script.voice.pitch, script.voice.speed, script.voice.seed)
    texts = {step.text for step in script.steps if isinstance(step, steps.Say)}
    texts |= {step.say for step in script.steps if isinstance(step, steps.Interrupt)}
    files = {folder / step.path for step in script.steps if isinstance(step, steps.SayWav)}
    lines = await prepare(texts, files, script.media.sample_rate, speaker, phone=script.voice.phone)
    parties = Parties(script.call_id or f"sim-{secrets.token_hex(8)}", script.caller, script.called)
    where = target(streamer_url, script.media, parties.call_id, token)
    async with httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT, trust_env=False, verify=_certificates()) as client:
        sender = None
        if gateway_url is not None:
            sender = WebhookSender(
                client,
                gateway_url,
                secret,
                parties,
                scheme=script.webhooks.scheme,
                form=script.webhooks.form,
                signed_url=script.webhooks.signed_url,
            )
        call = Call(script, parties, where, client, sender, Recorder(on_event), behaviour)
        return await call.place(lines, folder)


@cache
def _certificates() -> ssl.SSLContext:
    # Loading them takes 20 ms: once, or every call that begins would make the others late.
    return httpx.create_ssl_context(trust_env=False)


class Call:
    """One call's life. Use `place_call`."""

    def __init__(
        self,
        script: steps.CallScript,
        parties: Parties,
        where: Target,
        client: httpx.AsyncClient,
        sender: WebhookSender | None,
        recorder: Recorder,
        behaviour: Behaviour | None = None,
    ) -> None:
        self._behaviour = behaviour
        self._script, self._parties, self._where = script, parties, where
        self._client, self._sender, self._recorder = client, sender, recorder
        self._line: PhoneLine
        self._ended_by: EndedBy | None = None
        self._reconnect_after: float | None = None

    @property
    def over(self) -> bool:
        """Whether the call has ended, whoever ended it."""
        return self._ended_by is not None

    async def place(self, lines: dict[str | Path, bytes], base: Path) -> CallReport:
        """The whole call. Raises GatewayError, StreamerError."""
        self._recorder.note(-round(self._script.ring * 1000), "ringover", f"ringing, call {self._parties.call_id}")
        await self._webhook("ringing")
        await asyncio.sleep(self._script.ring)
        self._line = self._answer()
        # The phone is answered whether or not the webhook gets through at once.
        answered = asyncio.create_task(self._webhook("answered"))
        runner = ScriptRunner(self._line, self._recorder, self, lines)
        try:
            await self._talk(runner, base)
        finally:
            await self._line.aclose()
            await answered
            await self._webhook("hangup")
        return summarise(
            self._script, self._parties, self._line, self._recorder, runner.turns, self._ended_by or "caller"
        )

    def drop(self, reconnect_after: float) -> None:
        """Cut the media connection as a network would; it comes back after so many seconds."""
        if self._line.connection is not None:
            self._reconnect_after = reconnect_after
            self._line.connection.abort()
            self._line.connection = None

    def _answer(self) -> PhoneLine:
        voice, media = self._script.voice, self._script.media
        noise = COMFORT_LEVEL if voice.snr_db is None else noise_rms(voice.snr_db)
        line = PhoneLine(
            media,
            Mouth(media.sample_rate, noise, phone=voice.phone, seed=voice.seed),
            self._recorder,
            self._client,
            answered=asyncio.get_running_loop().time(),
            on_transfer=lambda _: self._end("transfer"),
        )
        self._recorder.answered_at = time.time()
        self._recorder.note(0, "ringover", "answered")
        return line

    async def _talk(self, runner: ScriptRunner, base: Path) -> None:
        """Audio, connection and script together, until one of them ends the call. Raises StreamerError."""
        first = await self._connect()
        async with asyncio.TaskGroup() as group:
            ticks = group.create_task(self._line.run())
            media = group.create_task(self._media(first))
            try:
                async with asyncio.timeout(self._script.longest):
                    await (self._behaviour(runner) if self._behaviour else runner.run(self._script.steps, base))
            except TimeoutError:
                self._recorder.failure(self._line.now_ms, f"the call took longer than {self._script.longest:g} s")
            self._end("caller")
            ticks.cancel()
            if self._line.connection is not None:
                await self._line.connection.close()
            else:
                media.cancel()

    async def _media(self, connection: MediaConnection) -> None:
        """Serve one connection after another until the call is over."""
        while True:
            await self._serve(connection)
            if self.over:
                return
            self._line.silence()
            if self._reconnect_after is not None:
                await asyncio.sleep(self._reconnect_after)
                self._reconnect_after = None
            elif self._script.media.on_server_close == "stay_away":
                self._end("bot" if connection.close_code == 1000 else "error")
                return
            try:
                connection = await self._reconnect()
            except StreamerError as error:
                self._recorder.failure(self._line.now_ms, f"reconnecting: {error}")
                self._end("error")
                return

    async def _serve(self, connection: MediaConnection) -> None:
        """One connection from its first message to its close."""
        announcement = metadata(self._script.media, self._parties)
        try:
            await connection.greet()
            if self._script.media.metadata == "first":
                await connection.send_text(announcement)
            self._line.connection = connection
            async with asyncio.TaskGroup() as group:
                later = group.create_task(self._announce_later(connection, announcement))
                await connection.read(self._line.receive)
                later.cancel()
        finally:
            if connection.close_code is None:
                connection.abort()
        self._closed(connection)

    async def _announce_later(self, connection: MediaConnection, announcement: str) -> None:
        if self._script.media.metadata == "late":
            await asyncio.sleep(self._script.media.metadata_after_ms / 1000)
            await connection.send_text(announcement)

    async def _reconnect(self) -> MediaConnection:
        """Raises StreamerError when it fails too often."""
        deadline = self._line.now_ms + 1000 * self._script.media.reconnect_for
        while True:
            try:
                return await self._connect()
            except StreamerError as error:
                if self._line.now_ms >= deadline:
                    raise
                self._recorder.note(self._line.now_ms, "ringover", f"no reconnection yet: {error}")
                await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _connect(self) -> MediaConnection:
        began = self._line.now_ms
        seed = self._script.voice.seed + len(self._recorder.connections)
        media = self._script.media
        connection = await open_connection(self._where, media, encoder(media, self._parties, seed))
        now = self._line.now_ms
        self._recorder.connections.append(ConnectionSeen(opened_ms=now, handshake_ms=now - began))
        self._recorder.note(now, "ringover", f"media connected ({media.dialect}, {media.sample_rate} Hz)")
        return connection

    def _closed(self, connection: MediaConnection) -> None:
        seen, now = self._recorder.connections[-1], self._line.now_ms
        seen.closed_ms, seen.close_code, seen.close_reason = now, connection.close_code, connection.close_reason
        seen.closed_by = "dropped" if self._reconnect_after is not None else "simulator" if self.over else "streamer"
        self._line.connection = None
        self._recorder.chunks_sent += connection.chunks_sent
        self._recorder.chunks_dropped += connection.chunks_dropped
        self._recorder.note(now, "ringover", f"media closed by {seen.closed_by}: {seen.close_code} {seen.close_reason}")

    def _end(self, by: EndedBy) -> None:
        if self._ended_by is None:
            self._ended_by = by
            what = {"caller": "caller hangs up", "bot": "bot ends the call", "transfer": "transferred", "error": "lost"}
            self._recorder.note(self._line.now_ms, "ringover", what[by])
            self._line.moved.set()

    async def _webhook(self, name: EventName) -> None:
        """Raises GatewayError."""
        if self._sender is not None:
            delivery = await self._sender.deliver(name)
            self._recorder.webhooks.append(
                WebhookSeen(event=name, status=delivery.status, attempts=delivery.attempts, took_ms=delivery.took_ms)
            )
