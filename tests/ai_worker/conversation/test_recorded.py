"""What recordings say, and what only people say."""

from __future__ import annotations

import pytest

from ai_worker.conversation.recorded import bare, recorded_words

MACHINES = [
    "Hi, you've reached Bob. Please leave a message after the tone.",
    "You have reached the voicemail of Jane Miller. Please record your message at the beep.",
    "You reached the voicemail of Jane Miller.",
    "I am unable to take your call right now.",
    "Please leave me a message and someone will call you back.",
    "The person you are calling is not available.",
    "The number you have dialed is currently switched off. Please try again later.",
    "The Verizon wireless customer you're trying to reach is unavailable.",
    "Your call has been forwarded to an automated voice messaging system.",
    "Sorry, I can't come to the phone right now.",
    "Leave your name, number and a short message and I'll call you back.",
    "Please leave your message.",
    "The mailbox is full and cannot accept any messages at this time. Goodbye.",
    "Bonjour, vous êtes bien sur la messagerie de Paul Durand.",
    "Vous êtes sur le répondeur du 06 12 34 56 78, laissez-moi un message.",
    "Merci de laisser votre message après le bip sonore.",
    "Votre correspondant n'est pas disponible pour le moment.",
    "Le correspondant que vous cherchez à joindre est injoignable.",
    "Je ne peux pas vous répondre pour le moment.",
    "Messagerie vocale du zéro six douze.",
    "Ha llamado al buzón de voz de Ana. Deje su mensaje después de la señal.",
    "Por favor, deje su nombre después del tono.",
    "El teléfono al que llama está apagado o fuera de cobertura en este momento.",
    "La persona con la que intenta comunicarse no está disponible.",
    "Guten Tag, Sie sind verbunden mit der Mailbox von Karl. Bitte sprechen Sie nach dem Signalton.",
    "Hinterlassen Sie bitte eine Nachricht.",
    "Der gewünschte Gesprächspartner ist zur Zeit nicht erreichbar.",
    "The Teilnehmer ist vorübergehend nicht erreichbar.",
    "Lasciate un messaggio dopo il segnale acustico.",
    "Spreek uw bericht in na de piep.",
    "Deixe a sua mensagem após o sinal.",
]
PEOPLE = [
    "I'd like to leave a message for the manager.",
    "Could I leave a message?",
    "I'd like to leave a message and I need someone to call me back.",
    "Can I leave a short message and someone will call me back?",
    "Hello, you reached my voicemail yesterday, so I am calling you back.",
    "I was unable to take your call earlier.",
    "Please leave a message for Bob that I called.",
    "I left you a message yesterday, and nobody called back.",
    "I reached your office yesterday, but nobody was available.",
    "Is the person I spoke to available?",
    "My mailbox is broken, can you send somebody?",
    "What is the number for the reading room?",
    "Je voudrais laisser un message pour le directeur.",
    "Je suis sur la route, je vous rappelle.",
    "Mon répondeur ne marche plus.",
    "Quiero dejar un mensaje para María.",
    "¿Está disponible el libro?",
    "Ich möchte eine Nachricht hinterlassen.",
    "Ist Herr Müller erreichbar?",
    "Hello?",
    "",
]


@pytest.mark.parametrize("text", MACHINES)
def test_a_recording_is_known(text: str) -> None:
    assert recorded_words(text)
    # Speech-to-text has its own ideas of case, accents and punctuation.
    assert recorded_words(bare(text).upper())


@pytest.mark.parametrize("text", PEOPLE)
def test_a_person_is_taken_for_a_person(text: str) -> None:
    assert recorded_words(text) == ""
