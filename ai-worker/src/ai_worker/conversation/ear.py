"""The caller's side: which stretch of audio is the utterance, what it says, when it is over."""

from __future__ import annotations

from ai_worker.conversation.actions import PROBE, Listen, StopListening, Transcribe
from ai_worker.conversation.context import Context
from ai_worker.conversation.dictation import Dictation, dictation
from ai_worker.conversation.endpointing import silence_needed, words
from ai_worker.conversation.events import Partial, SpeechStarted, SpeechStopped, Transcribed, TurnJudged
from ai_worker.conversation.languages import language_of
from ai_worker.conversation.utterance import Utterance


class Ear:
    """Follows the caller's speech. At most one utterance is open."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options = context.options
        self._count = 0
        self.speaking = False
        self.pausing = False
        """Whether the caller is silent just now, though perhaps only between two words."""
        self.utterance: Utterance | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody says something, or what was said is not understood or not answered yet."""
        utterance = self.utterance
        return utterance is not None and not (self.noisy or utterance.backchannel or utterance.doubtful)

    def holds_back(self, *, interruptible: bool) -> bool:
        """Whether a reply must wait for what the caller says; one that can't be interrupted, only for its words."""
        utterance = self.utterance
        if utterance is None or not self.busy:
            return False
        return interruptible or self.speaking or not utterance.understood

    @property
    def awaits_words(self) -> bool:
        """Whether the caller has paused, and the final words are still to come."""
        return self.pausing and self.utterance is not None and self.utterance.words is None

    def unclear(self, utterance: Utterance) -> bool:
        """Whether it is long enough for words to be expected in it."""
        return utterance.length_s >= self._options.unclear_speech

    @property
    def noisy(self) -> bool:
        """Whether the sound goes on and on without a word in it."""
        parts = self.utterance.parts.values() if self.utterance and self.speaking else ()
        return "" in parts and not any(parts)

    @property
    def ended_in_noise(self) -> bool:
        """Whether there were words, but none in the latest part, and the sound goes on all the same."""
        utterance = self.utterance
        if utterance is None or not self.speaking or utterance.awaits_parts:
            return False
        parts = list(utterance.parts.values())
        return any(parts) and parts[-1] == ""

    def started(self, event: SpeechStarted) -> None:
        """Speech after a pause within the turn belongs to the same utterance: what was understood of it is outdated."""
        self.speaking, self.pausing = True, False
        utterance = self.utterance
        if utterance and utterance.backchannel and not self._just_said(utterance, self._options.late_answer):
            utterance = None
        pre_roll = round(self._options.pre_roll * 1000)
        if utterance is None:
            self._count += 1
            now = self._context.now - event.speech_ms / 1000
            utterance = Utterance(self._count, event.start_ms, max(0, event.start_ms - pre_roll), now)
        else:
            if self._may_be_dictating(utterance.text_so_far):
                utterance.pauses.append((event.start_ms - utterance.end_ms) / 1000)
            if utterance.end_ms - utterance.from_ms >= self._options.longest_part * 500:
                self._keep_part(utterance)
                utterance.from_ms = max(utterance.end_ms, event.start_ms - pre_roll)
                utterance.partial = ""
            utterance.revision += 1
            utterance.words = None
            utterance.backchannel = utterance.sounds_finished = False
            utterance.probed = utterance.faded_ms = None
            utterance.doubtful = False
        self.utterance = utterance
        self._listen(utterance)
        self._context.after("monologue", self._options.longest_part - (event.start_ms - utterance.from_ms) / 1000)

    def stopped(self, event: SpeechStopped) -> bool:
        """The first pause asks for the words at once: they tell whether the turn is over. False when nobody listens."""
        self.speaking, self.pausing = False, True
        self._context.timers.cancel("monologue", "sound")
        utterance = self.utterance
        if utterance is None:
            return False
        utterance.end_ms = event.end_ms
        utterance.faded_ms = None
        utterance.stopped_at = self._context.now - event.silence_ms / 1000
        utterance.ended_at = event.ended_at
        self._request(utterance, event.end_ms + round(self._options.post_roll * 1000))
        return True

    def faded(self, end_ms: int) -> None:
        """The caller has fallen silent, the sound goes on."""
        if self.utterance and self.speaking:
            self.pausing = True
            self.utterance.faded_ms = end_ms

    def back(self) -> None:
        if self.utterance and self.speaking:
            self.pausing = False
            # What is known of the words is not all of them any more.
            self.utterance.faded_ms = self.utterance.probed = None

    def divide(self) -> None:
        """Speech without a pause is transcribed in parts: an STT takes only so much at once."""
        utterance = self.utterance
        if utterance is None or not self.speaking:
            return
        until = self._position(utterance)
        utterance.end_ms = until
        self._request_part(utterance, until)
        utterance.from_ms, utterance.partial = until, ""
        self._listen(utterance)
        self._context.after("monologue", self._options.longest_part)

    def heard(self, event: Partial) -> Utterance | None:
        """The open utterance, if other words are understood of it than before."""
        utterance = self.utterance
        if utterance is None or (utterance.id, utterance.revision) != (event.utterance, event.revision):
            return None
        if words(utterance.partial) == words(event.text):
            return None
        utterance.partial = event.text.strip()
        utterance.doubtful = utterance.doubtful and not words(utterance.partial)
        return utterance

    def probe(self) -> None:
        """Ask which words there are so far, while the sound goes on."""
        if self.utterance and self.speaking:
            start, until = self.utterance.from_ms, self._position(self.utterance)
            self.utterance.probed_ms = until
            self._context.emit(Transcribe(self.utterance.id, PROBE, start, until, part=True))

    def begin_anew(self) -> None:
        """The sound goes on, but what was said in it is dealt with: what comes next is another utterance."""
        utterance = self.utterance
        if utterance is None or not self.speaking:
            return
        # What was said since is not dealt with.
        until = max(utterance.from_ms, utterance.probed_ms if utterance.faded_ms is None else utterance.faded_ms)
        began = utterance.at(until)
        self.close()
        self._count += 1
        self.utterance = Utterance(self._count, until, until, began, doubtful=True)
        self._listen(self.utterance)
        self._context.after("monologue", self._options.longest_part)

    def understood(self, event: Transcribed) -> Utterance | None:
        """The open utterance with these words in it, or None for an answer that is no longer wanted."""
        utterance, text = self.utterance, event.text.strip()
        if utterance is None or not self.awaits(event.utterance, event.revision):
            return None
        utterance.doubtful = utterance.doubtful and not text
        if event.revision not in utterance.parts:
            utterance.words = text
            return utterance
        utterance.parts[event.revision] = text
        if self.speaking and not utterance.awaits_parts:
            self._context.timers.cancel("transcribing")
        return utterance

    def judged(self, event: TurnJudged) -> Utterance | None:
        """The open utterance, if an audio model is sure that the caller has finished with it."""
        utterance = self.utterance
        latest = utterance and (utterance.id, utterance.revision) == (event.utterance, event.revision)
        if utterance is None or not latest or self.speaking or event.finished < self._options.sounds_finished:
            return None
        utterance.sounds_finished = True
        return utterance

    def awaits(self, utterance: int, revision: int) -> bool:
        """Whether an answer about this revision is still wanted."""
        open_ = self.utterance
        if open_ is None or open_.id != utterance:
            return False
        if revision in open_.parts:
            return open_.parts[revision] is None
        return revision == open_.revision and not self.speaking

    def silence_needed(self, text: str) -> float:
        """How long (s) the caller must be silent after this text for the turn to be over."""
        return silence_needed(
            text,
            self._options.endpointing,
            language=self._language,
            asked=self._asked,
            pauses=self.utterance.pauses if self.utterance else (),
        )

    def dictating(self, text: str) -> bool:
        """Whether text like this is a number, a spelling or an address that will probably go on."""
        return self._dictation(text) == "under way"

    def _may_be_dictating(self, text: str) -> bool:
        """The first figure of many sounds like an answer, and a whole number may go on."""
        return self._dictation(text) != "none"

    def _dictation(self, text: str) -> Dictation:
        return dictation(text.strip(), language_of(self._language), asked=self._asked)

    def turn_ends_at(self, utterance: Utterance) -> float:
        """When the silence after what was understood has lasted long enough."""
        options = self._options.endpointing
        needed = self.silence_needed(utterance.text)
        # The sound only settles what the words leave open.
        if utterance.sounds_finished and needed == options.unclear:
            needed = options.complete
        return utterance.stopped_at + needed

    def answers_late(self, utterance: Utterance) -> bool:
        """Whether the bot's last word, if it is just now, came soon enough after it for it to be the answer."""
        return self._just_said(utterance, self._options.late_option if utterance.echoes else self._options.late_answer)

    def _just_said(self, utterance: Utterance, within: float) -> bool:
        return self._context.now - utterance.stopped_at <= within

    def close(self) -> None:
        if self.utterance:
            self._context.emit(StopListening())
        self.utterance = None
        self._context.timers.cancel("monologue", "turn", "guess", "transcribing", "sound")

    @property
    def _language(self) -> str:
        return self._context.persona.language

    @property
    def _asked(self) -> str:
        return self._context.history.last_heard

    def _listen(self, utterance: Utterance) -> None:
        self._context.emit(Listen(utterance.id, utterance.revision, utterance.from_ms))

    def _position(self, utterance: Utterance) -> int:
        """Where the caller's audio has got to (ms of media)."""
        return utterance.start_ms + round((self._context.now - utterance.started_at) * 1000)

    def close_unless_speaking(self) -> None:
        if not self.speaking:
            self.close()

    def _keep_part(self, utterance: Utterance) -> None:
        """What was said before a pause is long enough to be a part of its own."""
        if utterance.words is not None:
            utterance.parts[utterance.revision] = utterance.words
            return
        # Asked for again, as a part: the next request takes the place of the one under way.
        utterance.revision += 1
        self._request_part(utterance, utterance.end_ms + round(self._options.post_roll * 1000))

    def _request_part(self, utterance: Utterance, end_ms: int) -> None:
        utterance.parts[utterance.revision] = None
        self._request(utterance, end_ms, part=True)
        utterance.revision += 1

    def _request(self, utterance: Utterance, end_ms: int, *, part: bool = False) -> None:
        self._context.emit(Transcribe(utterance.id, utterance.revision, utterance.from_ms, end_ms, part))
        self._context.after("transcribing", self._options.transcribing_limit)
