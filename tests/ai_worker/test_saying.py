"""What is written in figures and signs, as it is said; and the way back from what was heard."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.providers.local_stt import LocalWhisper
from ai_worker.providers.local_tts import LocalHibari
from ai_worker.saying import spoken

ENGLISH = {
    "Call us at +33 1 84 80 00 00.": "Call us at plus three three, one, eight four, eight zero, zero zero, zero zero.",
    "It is +33184800000.": "It is plus three three, one, eight four, eight zero, zero zero, zero zero.",
    "+442079460958": "plus four four, two zero seven, nine four six, zero nine five eight",
    "+1 (555) 123-4567": "plus one, five five five, one two three, four five six seven",
    "Call 555-123-4567 now.": "Call five five five, one two three, four five six seven now.",
    "It is 0184800000.": "It is zero one, eight four, eight zero, zero zero, zero zero.",
    "Your code is 482913.": "Your code is four eight two, nine one three.",
    "Order 90210447 is ready.": "Order nine zero two, one zero four, four seven is ready.",
    "Ticket AB-12345": "Ticket AB one two three, four five",
    "It is #5, or #4521.": "It is number 5, or number four five two one.",
    "That is €12.50, or $3.": "That is 12 euros and 50 cents, or 3 dollars.",
    "12,50 € or 0.99 €": "12 euros and 50 cents or 99 cents",
    "£1 or €1,250 or €0.01": "1 pound or 1,250 euros or 1 cent",
    "15% off, 2.5 %": "15 percent off, 2.5 percent",
    "At 9:30, 9:00 or 9:05.": "At nine thirty, nine o'clock or nine oh five.",
    "At 17:30, 12:00, 0:15, 00:00.": "At five thirty PM, twelve o'clock, twelve fifteen AM, midnight.",
    "At 9:00 am or 4:45 p.m.": "At nine am or four forty-five p.m.",
    "Open 9:00-17:30.": "Open nine o'clock to five thirty PM.",
    "On 2025-03-01, 2025-11-12, 2024-02-22": "On March 1st, 2025, November 12th, 2025, February 22nd, 2024",
    "2.5 kg, 1 km, 100 km/h, 20°C": "2.5 kilograms, 1 kilometer, 100 kilometers per hour, 20 degrees Celsius",
    "Write to john.doe@example.com.": "Write to john dot doe at example dot com.",
    "See https://www.example.com/help/.": "See example dot com slash help.",
    "On example.com, not e.g. here": "On example dot com, not e.g. here",
    "R&D and black & white": "R and D and black and white",
    "**Yes**, `now`, *really* [here](https://a.com/b).": "Yes, now, really here.",
    "Hello 😀 there ☎️!": "Hello there!",
}
FRENCH = {
    "Appelez le +33 1 84 80 00 00.": "Appelez le plus 33, un, 84, 80, zéro zéro, zéro zéro.",
    "C'est le 0184800000.": "C'est le zéro un, 84, 80, zéro zéro, zéro zéro.",
    "Le 01.84.80.05.07": "Le zéro un, 84, 80, zéro cinq, zéro sept",
    "Votre code est 482913.": "Votre code est quatre huit deux, neuf un trois.",
    "12,50 €, 1 €, 0,50 €": "12 euros 50, 1 euro, 50 centimes",
    "1 250 € ou 1 000 000 €": "1250 euros ou 1 000 000 euros",
    "15 % ou 2,5%": "15 pour cent ou 2,5 pour cent",
    "À 14h30, 9 h, 9:05": "À 14 heures 30, 9 heures, 9 heures 5",
    "De 9h-17h30": "De 9 heures à 17 heures 30",
    "Le 2025-03-01 ou le 1er mai": "Le premier mars 2025 ou le premier mai",
    "La 2e fois, n° 12": "La deuxième fois, numéro 12",
    "1,5 kg à 20 °C": "1,5 kilo à 20 degrés",
    "jean.dupont@exemple.fr": "jean point dupont arobase exemple point fr",
    "Vous & moi": "Vous et moi",
}
UNCHANGED = [
    "Hello, this is the city library, how can I help you?",
    "In 2025 there were 12000 people, 1,234,567 in all, on 3 floors.",
    "Press * or #, or *1, and then 0.",
    "It's a well-known e-mail, i.e. text/plain and/or he/she.",
    "From 9 to 17, room 101, the 3rd of May, No. 5, 2.5 times, -5.",
    "The score was 3:2, a 16:9 screen, version 1.2.3, 192.168.1.10, 2/7.",
    "Up (3/4), 31/31/2026, 1/2/3, km 1/25, 12/2026, 1/2026, IN/OUT 10/4.",
    "I said: \"no\" (twice) - really… and that's it; isn't it?",
    "Il y a 12 000 personnes sur 1 000 000, soit 3 x 4 000.",
    "A350-900, B2B, MP3, H2O, 4x4, 1st, Wi-Fi",
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), ENGLISH.items())
def test_english(text: str, said: str) -> None:
    assert spoken(text, "en").text == said


@pytest.mark.parametrize(("text", "said"), FRENCH.items())
def test_french(text: str, said: str) -> None:
    assert spoken(text, "fr-FR").text == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "Open 24/7, on 01/02/2026.", "Open twenty-four seven, on January 2nd, 2026."),
        ("en-US", "01/02/2026 or 25/12/2026", "January 2nd, 2026 or December 25th, 2026"),
        ("en-GB", "On 01/02/2026 or 12/25/2026", "On 1st February 2026 or 25th December 2026"),
        ("en-GB", "On 2026-02-01, €2.50.", "On 1st February 2026, 2 euros and 50 cents."),
        ("en", "In 1/2 hour, or 2 1/2 hours", "In half an hour, or 2 and a half hours"),
        ("en", "3/4 of it, 1/3 and 2/3", "three quarters of it, one third and two thirds"),
        ("en", "1/4, 1/2. Page 1/2", "one quarter, one half. Page 1/2"),
        ("en", "On 3/4 and by 1/2", "On 3/4 and by 1/2"),
        ("fr", "Ouvert 24h/24 et 7j/7.", "Ouvert 24 heures sur 24 et 7 jours sur 7."),
        ("fr", "Ouvert 24/7.", "Ouvert 24 heures sur 24, 7 jours sur 7."),
        ("fr", "Le 01/02/2026, les 3/4", "Le premier février 2026, les trois quarts"),
        ("fr-CA", "dans 1/2 heure", "dans une demi-heure"),
        ("fr", "Le 3/4 ou du 1/2 au 1/3", "Le 3/4 ou du 1/2 au 1/3"),
        ("de", "24/7 ab 01/02/2026", "rund um die Uhr ab 1. Februar 2026"),
        ("de", "1/2 Stunde, 3/4", "eine halbe Stunde, drei Viertel"),
        ("de-AT", "am 1/2", "am 1/2"),
        ("es", "Abierto 24/7.", "Abierto las 24 horas, los 7 días de la semana."),
        ("es", "Desde el 13/02/2026.", "Desde el 13 de febrero de 2026."),
        ("es", "1/2 hora, 2 1/2 y 1/3", "media hora, 2 y medio y un tercio"),
        ("it", "Aperto 24/7 dal 01/02/2026", "Aperto 24 ore su 24, 7 giorni su 7 dal primo febbraio 2026"),
        ("it", "24h/24 e 7 giorni/7, 1/2 ora", "24 ore su 24 e 7 giorni su 7, mezz'ora"),
        ("pl", "24/7, 1/2, 01/02/2026", "24/7, 1/2, 01/02/2026"),
    ],
)  # fmt: skip
def test_slashes(language: str, text: str, said: str) -> None:
    assert spoken(text, language).text == said


@pytest.mark.parametrize("language", ["en", "fr", "de", ""])
@pytest.mark.parametrize("text", UNCHANGED)
def test_ordinary_text_stays_as_it_is(text: str, language: str) -> None:
    assert spoken(text, language).text == text


def test_in_other_languages_only_what_needs_no_words() -> None:
    assert spoken("Rufen Sie +49 30 123456 an.", "de").text == "Rufen Sie +4 9, 3 0, 1 2 3 4 5 6 an."
    assert spoken("Nummer 0301234567 😀", "de").text == "Nummer 0 3, 0 1, 2 3, 4 5, 6 7"
    assert spoken("Um 9:30 für 12,50 € an a@b.de", "de").text == "Um 9:30 für 12,50 € an a@b.de"


LANGUAGES = st.sampled_from(["en", "en-GB", "fr", "de", "es", "it"])
PIECES = st.sampled_from(
    [
        *ENGLISH,
        *FRENCH,
        *UNCHANGED,
        "24/7",
        "1/2",
        "1/2/2026",
        " ",
        ".",
        "0",
        "5",
        "33",
        "1234",
        "+",
        "-",
        ":",
        "€",
        "%",
        "h",
    ]
)
SIGNS = st.text("0123456789 .,:-+€$%#&@/*`_[]()hABaomn°\u00a0😀\n", max_size=40)
TEXTS = st.one_of(
    st.text(max_size=40), SIGNS, st.lists(st.one_of(PIECES, SIGNS.map(lambda s: s[:5])), max_size=5).map("".join)
)


@given(TEXTS, LANGUAGES)
def test_said_text_is_said_the_same_way(text: str, language: str) -> None:
    once = spoken(text, language).text
    assert spoken(once, language).text == once


@given(TEXTS, LANGUAGES)
def test_spans_cover_both_texts_in_order(text: str, language: str) -> None:
    said = spoken(text, language)
    original = at = 0
    for span in said.spans:
        assert (span.start, span.spoken_start) == (original, at)
        assert span.end > span.start
        original, at = span.end, span.spoken_end
        if span.same:
            assert text[span.start : span.end] == said.text[span.spoken_start : span.spoken_end]
    assert (original, at) == (len(text), len(said.text))


@given(TEXTS, LANGUAGES)
def test_more_heard_is_more_of_the_original(text: str, language: str) -> None:
    said = spoken(text, language)
    prefixes = [said.original_prefix(heard) for heard in range(len(said.text) + 1)]
    assert prefixes == sorted(prefixes)
    assert prefixes[-1] == len(text)


@given(st.lists(st.from_regex(r"[A-Za-zéèà']{1,12}[,;?!]?", fullmatch=True), max_size=12).map(" ".join), LANGUAGES)
def test_words_are_left_alone(text: str, language: str) -> None:
    said = spoken(text, language)
    assert said.text == text
    assert all(said.original_prefix(heard) == heard for heard in range(len(text) + 1))


def test_what_was_heard_of_the_original() -> None:
    text = "It costs €12.50 today, 😀 really."
    said = spoken(text, "en")
    assert said.text == "It costs 12 euros and 50 cents today, really."

    def heard(words: str) -> str:
        assert said.text.startswith(words)
        return text[: said.original_prefix(len(words))]

    assert heard("It cos") == "It cos"
    assert heard("It costs 12 euros") == "It costs "
    assert heard("It costs 12 euros and 50 cents") == "It costs €12.50"
    assert heard("It costs 12 euros and 50 cents today, really") == "It costs €12.50 today, 😀 really"
    assert heard(said.text) == text


SPEECH = {
    "Call us at +33 1 84 80 00 00.": "33184800000",
    "The number is 0142689753.": "0142689753",
    "Please dial 555-123-4567.": "5551234567",
    "Your code is 482913.": "482913",
    "Your order number is 90210447.": "90210447",
    "That will be €12.50.": "1250",
    "It costs $3 today.": "3",
    "You pay 45 € for it.": "45",
    "It costs €1,250 in all.": "1250",
    "You get 15% off.": "15",
    "We open at 9:30.": "930",
    "The train leaves at 17:45.": "545",
    "Your appointment is on 2025-03-14.": "142025",
    "The parcel weighs 2.5 kg.": "25",
    "It is 20°C outside.": "20",
    "It is ticket #4521.": "4521",
    "Please call +1 555 867 5309.": "15558675309",
    "The reference is 7741.": "7741",
    "Your account is 30054182.": "30054182",
    "We open 8:15-12:30.": "8151230",
}
DIGITS = {word: str(n) for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}


@pytest.mark.speech
async def test_the_local_voice_says_the_right_figures() -> None:
    tts, stt = LocalHibari(), LocalWhisper()
    heard = {}
    for text, figures in SPEECH.items():
        said = spoken(text, "en").text
        pcm = b"".join([part async for part in tts.stream(said, sample_rate=8000, voice="", language="en")])
        transcript = (await stt.transcribe(pcm, 8000, language="en")).text
        words = re.sub(r"[a-z]+", lambda word: DIGITS.get(word[0], word[0]), transcript.lower())
        if re.sub(r"\D", "", words) != figures:
            heard[text] = (said, transcript)
    await tts.aclose()
    await stt.aclose()
    # Two may be the small recogniser's own: it hears "seven seven four one" as 777-41.
    assert len(heard) <= 2, heard
