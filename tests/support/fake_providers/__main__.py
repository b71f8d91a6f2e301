"""`python -m support.fake_providers openai|elevenlabs --port N`: one fake as a process, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from support.fake_providers import FakeElevenLabs, FakeOpenAI, FakeServer


def main() -> None:
    """Prints the base URL as one line on standard output once it listens."""
    parser = argparse.ArgumentParser(prog="fake_providers", description=__doc__)
    apis = parser.add_subparsers(dest="api", required=True)
    openai = apis.add_parser("openai")
    openai.add_argument("--first-token-ms", type=float, default=350.0)
    openai.add_argument("--per-token-ms", type=float, default=15.0)
    openai.add_argument("--transcription-ms", type=float, default=640.0)
    openai.add_argument("--first-byte-ms", type=float, default=400.0)
    openai.add_argument("--answer", help="what the model always answers (default: it repeats the user's words)")
    openai.add_argument("--transcript", help="what is always heard")
    elevenlabs = apis.add_parser("elevenlabs")
    elevenlabs.add_argument("--first-byte-ms", type=float, default=75.0)
    elevenlabs.add_argument("--transcription-ms", type=float, default=280.0)
    elevenlabs.add_argument("--speed", type=float, default=20.0, help="times faster than it is spoken")
    for api in (openai, elevenlabs):
        api.add_argument("--host", default="127.0.0.1")
        api.add_argument("--port", type=int, default=0)
        api.add_argument("--api-key", help="the only key that is accepted")
    asyncio.run(_serve(_fake(parser.parse_args())))


def _fake(options: argparse.Namespace) -> FakeServer:
    fake: FakeServer
    if options.api == "openai":
        chat = FakeOpenAI(
            first_token_ms=options.first_token_ms,
            per_token_ms=options.per_token_ms,
            transcription_ms=options.transcription_ms,
            first_byte_ms=options.first_byte_ms,
            host=options.host,
            port=options.port,
        )
        if options.answer is not None:
            chat.answer = lambda messages: str(options.answer)
        if options.transcript is not None:
            chat.hear = lambda wav, language: str(options.transcript)
        fake = chat
    else:
        fake = FakeElevenLabs(
            first_byte_ms=options.first_byte_ms,
            transcription_ms=options.transcription_ms,
            speed=options.speed,
            host=options.host,
            port=options.port,
        )
    if options.api_key:
        fake.api_key = options.api_key
    return fake


async def _serve(fake: FakeServer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with fake:
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    main()
