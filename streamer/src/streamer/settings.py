"""The streamer's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from callbus.pcm import CALL_RATES
from callbus.settings import ServiceSettings
from streamer import commands


def _call_rate(rate: int) -> int:
    if rate not in CALL_RATES:
        raise ValueError(f"expected one of {', '.join(map(str, CALL_RATES))}")
    return rate


def _playable(url: str) -> str:
    commands.play(url)
    return url


def _diallable(number: str) -> str:
    commands.transfer(number)
    return number


class StreamerSettings(ServiceSettings):
    """What the streamer reads from the environment and `.env`."""

    streamer_host: str = Field("0.0.0.0", description="Address to listen on")
    streamer_port: int = Field(
        8765, ge=0, le=65535, description="Port to listen on, for WebSocket and HTTP; 0: any that is free"
    )
    streamer_token: SecretStr | None = Field(
        None, description="Secret that the media server must show; unset: anyone who reaches the port may connect"
    )
    streamer_sample_rate: Annotated[int, AfterValidator(_call_rate)] = Field(
        8000, description="Rate (Hz) of the audio that arrives, when the connection's query doesn't say: 8000 or 16000"
    )
    streamer_channels: int = Field(
        1, ge=1, le=2, description="Channels of the audio that arrives: 1, or 2 (left is the caller)"
    )
    streamer_max_calls: int = Field(400, ge=1, description="Calls that this streamer takes at a time; more get a 503")
    streamer_drain_timeout: float = Field(
        3600.0, ge=0, description="Seconds after SIGTERM in which running calls may come to their end"
    )
    streamer_handshake_timeout: float = Field(5.0, gt=0, description="Seconds a client has for its handshake")
    streamer_ping_after: float = Field(30.0, gt=0, description="Seconds without data after which a client is pinged")
    streamer_pong_timeout: float = Field(20.0, gt=0, description="Seconds a client has for its answer to a ping")
    streamer_playout_lag_ms: float = Field(
        40.0,
        ge=0,
        le=1000,
        description="Milliseconds from sending audio to the caller's hearing it: the network's and the media server's",
    )
    calls_dir: Path = Field(Path("out/calls"), description="Folder of the recordings, one folder a call in it")
    # The file must be heard within 2 s: it has to be fetched by then.
    fallback_after_s: float = Field(1.7, gt=0, description="Seconds in which a worker must take a new call")
    fallback_lost_after_s: float = Field(
        8.0, gt=0, description="Seconds in which another worker must take over the call of one that died (it takes 4)"
    )
    fallback_play_url: Annotated[str, AfterValidator(_playable)] | None = Field(
        None, description="Audio file (http or https) that a caller hears whom no worker serves"
    )
    fallback_transfer_number: Annotated[str, AfterValidator(_diallable)] | None = Field(
        None, description="Number to which a caller is transferred whom no worker serves"
    )
    fallback_transfer_delay_s: float = Field(
        4.0, ge=0, description="Seconds for FALLBACK_PLAY_URL to be heard before the transfer"
    )

    @property
    def has_fallback(self) -> bool:
        """Whether a caller whom no worker serves hears or reaches anything."""
        return self.fallback_play_url is not None or self.fallback_transfer_number is not None
