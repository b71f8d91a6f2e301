"""The keys of OpenAI, ElevenLabs and Ringover: one request each that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from voicebot_cli.check.verdict import Verdict, right, unset, wrong
from voicebot_cli.check.web import NoAnswer, ask, said
from voicebot_cli.settings import CliSettings, plain


@dataclass(frozen=True, slots=True)
class Question:
    """A request that only a good key gets through. `without` is what happens when there is none."""

    what: str
    setting: str
    url: str
    header: str
    key: str | None
    without: str


def questions(settings: CliSettings) -> list[Question]:
    """One for each provider."""
    openai, elevenlabs = plain(settings.openai_api_key), plain(settings.elevenlabs_api_key)
    return [
        Question(
            "openai",
            "OPENAI_API_KEY",
            settings.openai_base_url.rstrip("/") + "/models",
            "Authorization",
            openai and f"Bearer {openai}",
            "no key: speech is understood and answers are written by local models",
        ),
        Question(
            "elevenlabs",
            "ELEVENLABS_API_KEY",
            settings.elevenlabs_base_url.rstrip("/") + "/v1/models",
            "xi-api-key",
            elevenlabs,
            "no key: a local voice speaks",
        ),
        Question(
            "ringover api",
            "RINGOVER_API_KEY",
            settings.ringover_base_url.rstrip("/") + "/teams",
            # Ringover refuses a `Bearer ` before its key.
            "Authorization",
            plain(settings.ringover_api_key),
            "no key: nothing is asked of Ringover's REST API",
        ),
    ]


async def check_provider(question: Question) -> Verdict:
    """Ask it."""
    what = question.what
    if not question.key:
        return unset(what, question.without, f"set {question.setting} to use it")
    try:
        answer = await ask("GET", question.url, headers={question.header: question.key})
    except NoAnswer as error:
        return wrong(what, str(error), "see that this machine reaches it (proxy, firewall), and the address in .env")
    return judge(question, answer)


def judge(question: Question, answer: httpx.Response) -> Verdict:
    """What the answer says of the key."""
    where = question.url
    if answer.is_success:
        return right(question.what, f"the key is good ({where})")
    if "missing_permissions" in answer.text:
        return right(question.what, f"the key is known, and limited ({where} is not for it)")
    if answer.status_code in (401, 403):
        return wrong(question.what, f"{where}: {said(answer)}", f"correct {question.setting}: the key is refused")
    if answer.status_code == 429:
        return wrong(question.what, f"{where}: {said(answer)}", "the key is known; see its quota and its bill")
    return wrong(question.what, f"{where}: {said(answer)}", f"correct the address beside {question.setting} in .env")
