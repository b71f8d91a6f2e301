"""Does it sound like a recording? What answering machines and networks say in place of a person."""

from __future__ import annotations

import re
import unicodedata

from ai_worker.conversation.endpointing import words

_PARTS = {
    "box": "(?:voice ?mail|voice mailbox|mailbox|answering machine|answering service)",
    "away": "(?:not available|unavailable|switched off|not in service|not reachable|cannot be reached|not answering)",
    "party": "(?:person|party|subscriber|customer|number|mobile) (?:that )?you(?: are|re| have|ve| were)?",
    "repondeur": "(?:la|ma|notre|le|mon|notre) (?:messagerie|repondeur|boite vocale)",
    "apagado": "(?:no (?:se encuentra|esta) disponible|apagado o fuera de cobertura)",
    "abonado": "(?:persona|numero|abonado|usuario|cliente|telefono)",
    "weg": "(?:nicht erreichbar|nicht verfugbar|nicht zu erreichen|nicht vergeben)",
    # A person wants to leave one; a machine asks for it.
    "nobody": "(?<!to )(?<!i )(?<!ill )(?<!can )(?<!could )(?<!will )(?<!you )",
    "cant": "(?:cant|cannot|unable to|not able to)",
    "some": r"(?:\w+ ){0,8}",
    "few": r"(?:\w+ ){0,4}",
}
_PHRASES = r"""
    after (?:the|this) (?:tone|beep|signal)
    message {few}at the (?:tone|beep)
    (?:youve|you have) reached {few}{box}
    you reached the {few}{box}
    (?:this is|through to) the {box} (?:of|for)
    {party} (?:calling|called|dialed|dialled|trying to (?:reach|call)) {few}{away}
    forwarded to (?:an automated |a )?voice (?:mail|message|messaging)
    {nobody}leave (?:me |us )?(?:a|your) {some}message and (?:ill|i will|we|well|someone will)
    please leave (?:me |us )?(?:a|your) {few}message(?! (?:for|with|to))
    {box} is full
    (?<!was )(?<!were ){cant} (?:come to the phone|take your call|answer your call|get to the phone)

    apres le (?:signal|bip|top)
    laissez(?: moi| nous)? (?:un|votre|vos) {few}(?:message|coordonnees)
    veuillez laisser (?:un|votre) message
    (?:etes|es) (?:bien )?sur {repondeur}
    bienvenue sur {repondeur}
    messagerie vocale (?:de|du|d)
    correspondant {some}(?:pas disponible|indisponible|injoignable|pas joignable)
    ne peu(?:t|x) {few}repondre {few}(?:pour le moment|actuellement|pour linstant)

    despues (?:de {few}(?:la senal|el tono)|del (?:tono|pitido|bip))
    tras {few}(?:la senal|el tono)
    (?:deje|deja|dejenos|dejanos|dejame|grabe) {few}(?:su|tu|un) mensaje
    (?:llamado|comunicado|contactado|este es|es el|bienvenido) {few}(?:buzon de voz|contestador)
    buzon de voz (?:de|del)
    {abonado} {some}{apagado}

    nach dem (?:signalton|signal|piepton|pieps?|ton)
    hinterlass(?:en|t|e)? (?:sie |mir |uns |bitte )*(?:eine|ihre|deine|eure) {few}nachricht
    (?:mailbox|anrufbeantworter|sprachbox) (?:von|des|der)
    (?:gewunschte|gewahlte|angerufene|teilnehmer|gesprachspartner) {some}{weg}

    dopo il (?:segnale|bip|tono)
    lasciate? un messaggio (?:dopo|e)
    segreteria telefonica (?:di|del)
    (?:utente|cliente) {some}non (?:e )?(?:al momento )?raggiungibile

    na de (?:piep|pieptoon|toon)
    voicemail van

    (?:apos|depois do?) o? ?(?:sinal|bip|tom)
    deixe (?:a sua|sua|uma|o seu) (?:mensagem|recado)
"""


def _filled(phrase: str) -> str:
    for name, part in _PARTS.items():
        phrase = phrase.replace(f"{{{name}}}", part)
    return rf"(?<!\w)(?:{phrase})(?!\w)"


_RECORDED = re.compile("|".join(_filled(line.strip()) for line in _PHRASES.splitlines() if line.strip()))


def bare(text: str) -> str:
    """Lower case, no accents, no punctuation, one space between words."""
    letters = unicodedata.normalize("NFKD", " ".join(words(text)).casefold())
    plain = "".join(char for char in letters if not unicodedata.combining(char))
    return re.sub(r"\s+", " ", plain.replace("'", "").replace("-", " ")).strip()


def recorded_words(text: str) -> str:
    """The words that give a recording away, "" when nothing does."""
    found = _RECORDED.search(bare(text))
    return found[0] if found else ""
