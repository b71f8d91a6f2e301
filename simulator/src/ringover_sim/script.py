"""A call as data: who calls whom, how the wire is spoken, what the caller does, and what must have happened."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ringover_sim.commands import CommandName
from ringover_sim.dialects import Dialect
from ringover_sim.dtmf import KEYS
from ringover_sim.signing import Scheme
from ringover_sim.webhooks import Form


def _number(value: Any) -> Any:
    return str(value).removeprefix("+") if isinstance(value, int | str) and not isinstance(value, bool) else value


def _keys(value: Any) -> Any:
    if isinstance(value, int):
        # YAML has already eaten a leading zero (or read it as octal) by now.
        raise PydanticCustomError("unquoted", 'write the keys in quotes, such as press: "0123#"')
    return value


def _pressable(value: str) -> str:
    if wrong := set(value) - set(KEYS):
        raise ValueError(f"{sorted(wrong)} can't be pressed on a telephone; use digits, * and #")
    return value


Number = Annotated[str, BeforeValidator(_number), Field(pattern=r"^\d{2,15}$")]
Keys = Annotated[str, BeforeValidator(_keys), Field(min_length=1), AfterValidator(_pressable)]
Seconds = Annotated[float, Field(ge=0, le=600)]
Text = Annotated[str, Field(min_length=1, pattern=r"\w")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Say(_Strict):
    """Speak a line, and go on when it has been spoken."""

    do: Literal["say"] = "say"
    text: Text


class SayWav(_Strict):
    """Speak what a WAV (or mp3, ogg) file holds; the path is relative to the script."""

    do: Literal["say_wav"] = "say_wav"
    path: str


class WaitForBot(_Strict):
    """Until the bot has spoken since the caller's last line, `at_least` seconds of sound, and has then been quiet for
    `silence` seconds."""

    do: Literal["wait_for_bot"] = "wait_for_bot"
    timeout: Seconds = 30.0
    at_least: Seconds = 0.0
    silence: Annotated[float, Field(ge=0.1, le=10)] = 0.7


class WaitForBotToStart(_Strict):
    """Until the first sound of the bot since the caller's last line."""

    do: Literal["wait_for_bot_to_start"] = "wait_for_bot_to_start"
    timeout: Seconds = 15.0


class Interrupt(_Strict):
    """Speak `after` seconds after the bot began to speak."""

    do: Literal["interrupt"] = "interrupt"
    after: Seconds = 1.0
    say: Text
    timeout: Seconds = 15.0


class Press(_Strict):
    """Press keys: tones in the audio, or a text message for each key."""

    do: Literal["press"] = "press"
    digits: Keys
    via: Literal["tones", "text"] = "tones"


class Pause(_Strict):
    """Say nothing for a while."""

    do: Literal["pause"] = "pause"
    seconds: Seconds


class DropConnection(_Strict):
    """Abort the media connection without a close, and come back after a while with the same call id."""

    do: Literal["drop_connection"] = "drop_connection"
    reconnect_after: Seconds = 1.0


class HangUp(_Strict):
    """The caller ends the call."""

    do: Literal["hang_up"] = "hang_up"


class Expect(_Strict):
    """A command that must come within `within` seconds, or has come since the caller's last line began."""

    do: Literal["expect"] = "expect"
    command: CommandName
    data: str | int | None = None
    within: Seconds = 5.0


class WaitForEnd(_Strict):
    """Until the bot ends the call or transfers it."""

    do: Literal["wait_for_end"] = "wait_for_end"
    timeout: Seconds = 30.0


Step = Annotated[
    Say
    | SayWav
    | WaitForBot
    | WaitForBotToStart
    | Interrupt
    | Press
    | Pause
    | DropConnection
    | HangUp
    | Expect
    | WaitForEnd,
    Field(discriminator="do"),
]


class Webhooks(_Strict):
    """How events are signed and shaped."""

    scheme: Scheme = "v1"
    form: Form = "envelope"
    signed_url: str | None = None
    """What V1 and V3 sign, when the gateway's public URL is not the one posted to."""


class Media(_Strict):
    """How the media connection speaks (RINGOVER.md 3)."""

    dialect: Dialect = "pcm"
    sample_rate: Literal[8000, 16000] = 8000
    channels: Literal[1, 2] = 1
    announce: bool = True
    """Put sample_rate and channels into the query when they are not 8000 mono."""
    chunk_ms: Literal[20, 40, 60, 80, 100, 200] = 20
    metadata: Literal["first", "late", "none"] = "first"
    metadata_after_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    call_id_in: Literal["metadata", "path", "query", "nowhere"] = "metadata"
    token_in: Literal["query", "header", "none"] = "query"
    rtp_codec: Literal["pcmu", "pcma"] = "pcmu"
    rtp_loss: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rtp_reorder: Annotated[float, Field(ge=0, lt=1)] = 0.0
    compression: bool = False
    """Offer permessage-deflate."""
    seam_gap_ms: Annotated[int, Field(ge=0, le=1000)] = 20
    on_server_close: Literal["stay_away", "reconnect"] = "stay_away"
    reconnect_for: Seconds = 1.5
    """How long it is tried to come back after a lost connection."""

    @model_validator(mode="after")
    def _rtp_is_narrow(self) -> Media:
        if self.dialect == "rtp" and (self.sample_rate, self.channels, self.chunk_ms) != (8000, 1, 20):
            raise ValueError("dialect rtp carries G.711: sample_rate 8000, channels 1, chunk_ms 20")
        if self.call_id_in == "metadata" and self.metadata == "none" and self.dialect != "json":
            raise ValueError("call_id_in: metadata needs metadata; use path, query or nowhere with metadata: none")
        return self


class CallerVoice(_Strict):
    """How the caller sounds."""

    pitch: Annotated[float, Field(ge=0.6, le=1.4)] = 0.85
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    snr_db: Annotated[float, Field(ge=-10, le=60)] | None = None
    """Line noise under everything, at this distance from the speech; none: a quiet line."""
    phone: bool = True
    """Through a telephone: 300-3400 Hz, G.711 µ-law."""
    seed: int = 7


class Expectations(_Strict):
    """What must hold at the end of the call."""

    commands: list[CommandName] = []
    no_commands: list[CommandName] = []
    bot_spoke_at_least: Annotated[int, Field(ge=0)] = 0
    """Utterances of the bot, 700 ms of silence apart."""
    max_response_ms: Annotated[float, Field(gt=0)] | None = None
    max_gaps: Annotated[int, Field(ge=0)] | None = None
    ended_by: Literal["caller", "bot", "transfer", "error"] | None = None
    close_code: int | None = None


class CallScript(_Strict):
    """One call."""

    name: str = "call"
    call_id: Annotated[str, Field(pattern=r"^[\w.:-]{1,64}$")] | None = None
    """None: a new one for each call."""
    caller: Number = "33612345678"
    called: Number = "33184800000"
    ring: Annotated[float, Field(ge=0, le=60)] = 0.3
    """Seconds from `ringing` to `answered`."""
    longest: Annotated[float, Field(gt=0, le=3600)] = 180.0
    """The caller hangs up after this many seconds, and the call counts as failed."""
    webhooks: Webhooks = Webhooks()
    media: Media = Media()
    voice: CallerVoice = CallerVoice()
    steps: Annotated[list[Step], Field(min_length=1)]
    expect: Expectations = Expectations()
