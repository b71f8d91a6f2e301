"""Places the call of one moment: over the real gateway and the real media WebSocket, in real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from bench.moments.clips import RATE
from bench.moments.echo import returning
from bench.moments.evidence import Evidence, Heard
from bench.moments.moment import Moment, Words
from bench.moments.mouth import PlaceMouth
from bench.moments.providers import LONGEST, SETUP, BotVoice
from bench.moments.recogniser import HeardCaller, Recogniser
from bench.moments.track import Track, compose
from callbus import keys, transcript
from callbus.broker import Broker
from devstack.stack import LocalStack
from ringover_sim.ear import Ear
from ringover_sim.line import PhoneLine
from ringover_sim.media import encoder, metadata, open_connection, target
from ringover_sim.recorder import Recorder
from ringover_sim.script import Media
from ringover_sim.webhooks import Parties, WebhookSender

NUMBERS = {"nothing": "33184800001", "answer": "33184800001", "greeting": "33184800002"}
"""The called numbers: of the agent with a short greeting, and of the one with a long one."""
RING_S = 0.2
BETWEEN_S = 0.6
"""How long the caller waits when the bot has fallen silent."""
GIVEN_UP_S = 5.0
"""After so long a wait for an answer, or for the bot to go on, it does not come."""
LISTENS_S = 1.2
"""How long the caller listens to an answer before it hangs up: one that breaks off at once is none."""
LONGEST_WATCH_S = 35.0
LONGEST_S = 60.0
TICK = 2 * RATE * 20 // 1000
"""Bytes that the caller's ear gets at a time."""


SETTLED_S = 2.0
"""And so long when the bot has said all it had to say: time for it to do something that it should not."""
SETTING = Moment("setup", "complete", "answer", (Words(SETUP),))


class CallWentWrong(Exception):
    """The call did not come to its moment: the bot did not greet, or did not answer the first question."""


@dataclass(frozen=True, slots=True)
class System:
    """What calls are placed against."""

    stack: LocalStack
    client: httpx.AsyncClient
    broker: Broker
    recogniser: Recogniser
    voice: BotVoice


async def place(moment: Moment, number: int, system: System) -> Evidence:
    """The whole call; `number` tells it from all others. Raises CallWentWrong, SimulatorError."""
    parties = Parties(f"moment-{number:03d}", f"3361200{number:04d}", NUMBERS[moment.over])
    stack = system.stack
    sender = WebhookSender(system.client, stack.gateway_url, stack.webhook_secret, parties)
    await sender.deliver("ringing")
    await asyncio.sleep(RING_S)
    call = _MomentCall(moment, number, parties, system)
    answered = asyncio.create_task(sender.deliver("answered"))
    try:
        async with asyncio.timeout(LONGEST_S):
            return await call.live()
    except TimeoutError:
        raise CallWentWrong(f"the call took longer than {LONGEST_S:g} s") from None
    finally:
        await answered
        await sender.deliver("hangup")


class _MomentCall:
    def __init__(self, moment: Moment, number: int, parties: Parties, system: System) -> None:
        self._moment, self._parties, self._system = moment, parties, system
        self._track = compose(moment)
        self._media = Media()
        self._mouth = PlaceMouth(moment, seed=number)
        self._recorder = Recorder()
        self._line = PhoneLine(
            self._media,
            self._mouth,
            self._recorder,
            system.client,
            answered=asyncio.get_running_loop().time(),
            on_transfer=lambda _: None,
        )
        self._mouth.heard = self._line.playout.heard
        self._heard_caller = HeardCaller(self._mouth.sent, echo=self._echo)
        system.recogniser.callers.append(self._heard_caller)
        self._answered_at = time.time()

    async def live(self) -> Evidence:
        line, media = self._line, self._media
        where = target(self._system.stack.streamer_url, media, self._parties.call_id, None)
        connection = await open_connection(where, media, encoder(media, self._parties, 1))
        await connection.send_text(metadata(media, self._parties))
        line.connection = connection
        tasks = [asyncio.create_task(line.run()), asyncio.create_task(connection.read(line.receive))]
        try:
            return await self._talk()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await connection.close()
            await line.aclose()

    async def _talk(self) -> Evidence:
        moment, line = self._moment, self._line
        bot_began = await self._onset(0, "the bot did not greet")
        if moment.over != "greeting":
            await self._quiet(BETWEEN_S, "the greeting did not end")
        if moment.over == "answer":
            asked = await self._say(compose(SETTING))
            bot_began = await self._onset(asked, "the bot did not answer the first question")
        if moment.over != "nothing":
            start = bot_began + round(moment.after * RATE)
            await self._until(lambda: line.now >= start, moment.after + 1, "")
        begins = self._begin(self._track)
        await self._see_what_happens(begins, bot_began)
        return await self._evidence(begins, bot_began)

    async def _say(self, track: Track) -> int:
        """Say it whole; the sample at which its speech ended."""
        begins = self._begin(track)
        end = begins + len(track.samples)
        await self._until(lambda: self._mouth.position >= end, 10.0, "the first question could not be asked")
        return begins + track.speech_end

    def _begin(self, track: Track) -> int:
        begins = self._mouth.begin(track.samples)
        self._heard_caller.tracks.append((begins, track))
        return begins

    def _echo(self) -> list[tuple[int, int, str]]:
        late = self._moment.echo_ms
        return [] if late is None else returning(self._system.voice, self._line.playout.history, late)

    async def _see_what_happens(self, begins: int, bot_began: int) -> None:
        """Until it is clear what the bot does about it."""
        line, ear, moment = self._line, self._line.ear, self._moment
        end = begins + self._track.speech_end
        given_up = end + round(GIVEN_UP_S * RATE)
        whole = self._whole()

        def answered() -> bool:
            onset = next((p.started for p in line.playout.history if p.started is not None and p.started >= end), None)
            return onset is not None and line.now >= onset + LISTENS_S * RATE

        def said_all() -> bool:
            silence = SETTLED_S if ear.heard_since(bot_began) >= whole else GIVEN_UP_S
            return line.now >= end and ear.quiet_for() >= silence * RATE

        def over() -> bool:
            if moment.right in ("answer", "yield"):
                return answered() or line.now >= given_up
            return said_all() if moment.over != "nothing" else line.now >= given_up

        latest = begins + round(LONGEST_WATCH_S * RATE)
        await self._until(lambda: over() or line.now >= latest, LONGEST_S, "")

    def _whole(self) -> int:
        """Samples of sound in all that the bot is saying; 0 when it says nothing."""
        if self._moment.over == "nothing":
            return 0
        ear, pcm = Ear(RATE), self._system.voice.say(LONGEST[self._moment.over])
        for start in range(0, len(pcm), TICK):
            ear.feed(pcm[start : start + TICK])
        return ear.heard_since(0)

    async def _evidence(self, begins: int, bot_began: int) -> Evidence:
        line, now = self._line, self._line.now
        start = begins + self._track.speech_start
        entries = await self._system.broker.range(keys.transcript(self._parties.call_id))
        written = [transcript.decode(fields) for _, fields in entries]
        since = self._answered_at + begins / RATE
        last_words = LONGEST.get(self._moment.over, "").rsplit(" ", 3)[-3:]
        return Evidence(
            speech_start=_ms(start),
            speech_end=_ms(begins + self._track.speech_end),
            watched_until=_ms(now),
            playbacks=tuple(
                Heard(_ms(playback.started), _ms(now if playback.ended is None else playback.ended), playback.cut)
                for playback in line.playout.history
                if playback.started is not None
            ),
            breaks=tuple(float(c.seen.at_ms) for c in self._recorder.commands if c.seen.command == "break"),
            sounds=tuple((_ms(sound.start), _ms(sound.end)) for sound in line.ear.sounds),
            bot_began=_ms(bot_began),
            whole_ms=_ms(self._whole()),
            finished_it=any(
                not entry.interrupted and entry.heard_text.split()[-3:] == last_words
                for entry in written
                if isinstance(entry, transcript.BotHeard)
            ),
            turns=tuple(_turns(written, since)),
            notes=tuple(entry.note for entry in written if isinstance(entry, transcript.Noted) and entry.at >= since),
            stages=tuple(
                f"{stage} {at:.0f}"
                for entry in written
                if isinstance(entry, transcript.TurnTimed) and entry.at >= since
                for stage, at in entry.stages.items()
            ),
            late_ms=self._recorder.max_lateness * 1000,
        )

    # --- waiting

    async def _onset(self, after: int, problem: str) -> int:
        """The sample at which the bot begins to speak."""
        await self._until(lambda: self._line.ear.onset_after(after) is not None, 15.0, problem)
        onset = self._line.ear.onset_after(after)
        assert onset is not None
        return onset

    async def _quiet(self, seconds: float, problem: str) -> None:
        await self._until(lambda: self._line.ear.quiet_for() >= seconds * RATE, 15.0, problem)

    async def _until(self, condition: Callable[[], bool], timeout: float, problem: str) -> None:
        """Looked at after every tick and every message. Raises CallWentWrong."""
        deadline = self._line.now + round(timeout * RATE)
        while not condition():
            if self._line.now >= deadline:
                raise CallWentWrong(f"{problem} within {timeout:g} s")
            if self._connection_lost():
                raise CallWentWrong("the streamer closed the media connection")
            self._line.moved.clear()
            await self._line.moved.wait()

    def _connection_lost(self) -> bool:
        return self._line.connection is None or self._line.connection.close_code is not None


def _turns(written: list[transcript.Entry], since: float) -> Iterator[str]:
    for entry in written:
        if isinstance(entry, transcript.CallerSaid) and entry.at >= since:
            yield entry.text
        elif isinstance(entry, transcript.CallerPressed) and entry.at >= since:
            yield f"pressed {entry.digits}"


def _ms(samples: int) -> float:
    return samples * 1000 / RATE
