"""Numbers that are dictated in words: heard out in every language; and ordinary sentences, which are no dictation."""

from __future__ import annotations

import time
from importlib.resources import files
from itertools import pairwise

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from ai_worker.conversation.dictation import dictation
from ai_worker.conversation.endpointing import EndpointingOptions, silence_needed
from ai_worker.conversation.languages import language_of
from ai_worker.conversation.persona import Persona
from support.conversation_world import World

OPTIONS = EndpointingOptions()

ONES = {
    "en": "zero one two three four five six seven eight nine".split(),
    "fr": "zéro un deux trois quatre cinq six sept huit neuf".split(),
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve".split(),
    "de": "null eins zwei drei vier fünf sechs sieben acht neun".split(),
    "it": "zero uno due tre quattro cinque sei sette otto nove".split(),
}
TEENS = {
    "en": "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
    "fr": "dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf".split(),
    "es": "diez once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve".split(),
    "de": "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn".split(),
    "it": "dieci undici dodici tredici quattordici quindici sedici diciassette diciotto diciannove".split(),
}
TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety".split(),
    "fr": "vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix".split(),
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa".split(),
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split(),
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta".split(),
}


def spelled(number: int, language: str) -> str:
    """A number below 100, as its language spells it."""
    ten, one = divmod(number, 10)
    if number < 10:
        return ONES[language][number]
    if number < 20:
        return TEENS[language][one]
    tens, unit = TENS[language][ten - 2], ONES[language][one]
    if not one:
        return tens
    match language:
        case "en":
            return f"{tens}-{unit}"
        case "fr" if ten in (7, 9):
            score = "soixante" if ten == 7 else "quatre-vingt"
            return "soixante et onze" if number == 71 else f"{score}-{TEENS['fr'][one]}"
        case "fr":
            return f"{tens} et un" if one == 1 and ten < 8 else f"{tens.removesuffix('s')}-{unit}"
        case "es":
            fused = {"dos": "dós", "tres": "trés", "seis": "séis"}.get(unit, unit)
            return f"veinti{fused}" if ten == 2 else f"{tens} y {unit}"
        case "de":
            return f"{unit.removesuffix('s') if one == 1 else unit}und{tens}"
    return (tens[:-1] if unit[0] in "uo" else tens) + ("tré" if one == 3 else unit)


@pytest.mark.parametrize(
    ("number", "language", "written"),
    [
        (82, "fr", "quatre-vingt-deux"),
        (97, "fr", "quatre-vingt-dix-sept"),
        (23, "de", "dreiundzwanzig"),
        (35, "es", "treinta y cinco"),
        (21, "it", "ventuno"),
    ],
)
def test_the_spelling_of_this_test(number: int, language: str, written: str) -> None:
    assert spelled(number, language) == written


@pytest.mark.parametrize("language", ONES)
@pytest.mark.parametrize("number", range(100))
def test_every_number_below_a_hundred_has_its_digits(language: str, number: int) -> None:
    numbers = language_of(language).numbers
    for written in (spelled(number, language), spelled(number, language).replace("-", " ")):
        [group] = numbers.at_end(f"xxx {written}").groups
        assert (group.digits, numbers.at_end(written).before) == (len(str(number)), "")
        assert numbers.at_end(f"Xxx, {written.upper()}!").digits == len(str(number))


NUMBERS = [
    ("fr", "zéro six douze quatre-vingt-deux"),
    ("fr", "zéro six douze quatre-vingts"),
    ("fr", "Alors c'est le zéro six, soixante et onze, quatre-vingt-dix-sept."),
    ("fr", "zéro six douze quatre vingt deux"),
    ("fr", "zéro quatre septante-neuf"),
    ("fr", "Ma référence est le quatre cent douze."),
    ("de", "null eins sieben sechs dreiundzwanzig"),
    ("de", "Meine Nummer ist die null eins sieben zwo, fünfunddreißig."),
    ("de", "null eins fünf eins hundertdreiundzwanzig"),
    ("de", "dreiundzwanzig fünfundvierzig"),
    ("es", "seis treinta y cinco"),
    ("es", "Es el seiscientos doce, treinta y cuatro."),
    ("es", "nueve uno dos veintitrés cuarenta y uno"),
    ("it", "tre tre otto ventuno"),
    ("it", "Il mio numero è tre quattro sette, ventotto, cinquantatré"),
    ("it", "trecentotrentotto quarantadue"),
    ("en", "oh seven seven double nine"),
    ("en", "zero seven, eighty-two, forty"),
    ("en", "two hundred twelve, five five five"),
]


@pytest.mark.parametrize(("language", "text"), NUMBERS)
def test_a_number_dictated_in_words_is_heard_out(language: str, text: str) -> None:
    assert silence_needed(text, OPTIONS, language=language) == OPTIONS.dictating


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "zéro six douze quatre-vingt-deux soixante et onze quatre-vingt-dix-neuf"),
        ("es", "seiscientos doce, treinta y cuatro, cincuenta y seis, setenta y ocho"),
        ("it", "tre tre otto ventuno, quarantadue, cinquantatré, sei"),
        ("en", "two one two, five five five, oh one, forty-three"),
    ],
)
def test_a_whole_telephone_number_in_words_is_waited_for_less(language: str, text: str) -> None:
    assert silence_needed(text, OPTIONS, language=language) == OPTIONS.unclear


@pytest.mark.parametrize(
    ("language", "first", "rest"),
    [
        ("fr", "C'est le zéro six douze quatre-vingt-deux.", "Quarante et un, quatre-vingts."),
        ("de", "Null eins sieben sechs dreiundzwanzig.", "Fünfundvierzig, sechs."),
        ("es", "Seiscientos doce, treinta y cinco.", "Cuarenta y uno, veintidós."),
        ("it", "Tre tre otto ventuno.", "Trentotto, cinque, nove."),
    ],
)
def test_a_pause_in_the_number_is_not_its_end(language: str, first: str, rest: str) -> None:
    world = World(Persona("…", language=language)).until_turn()
    ended = world.caller.say(first)
    world.caller.say(rest, after=ended - world.now + 1.7)
    world.until(lambda: bool(world.caller_said))
    assert world.caller_said == [f"{first} {rest}"]


@pytest.mark.parametrize("language", ONES)
@given(pairs=st.lists(st.integers(10, 99), min_size=1, max_size=3), commas=st.booleans())
def test_whoever_has_begun_with_a_nought_goes_on(language: str, pairs: list[int], commas: bool) -> None:
    # "vingt quatre-vingt-dix" is 20 90 or 24 20 10: nobody can tell.
    tens_before_eighty = any(20 <= one <= 60 and one % 10 == 0 and other >= 80 for one, other in pairwise(pairs))
    assume(commas or language != "fr" or not tens_before_eighty)
    said = (", " if commas else " ").join(
        [f"{ONES[language][0]} {ONES[language][6]}", *(spelled(pair, language) for pair in pairs)]
    )
    assert dictation(f"xxx {said}", language_of(language)) == "under way"


@pytest.mark.parametrize(
    ("language", "asked", "text"),
    [
        ("fr", "Quels sont vos dix chiffres ?", "zéro six douze trente-quatre cinquante-six quatre-vingt-dix-huit"),
        ("de", "Wie lauten die vier Ziffern?", "dreiundzwanzig fünfundvierzig"),
        ("es", "¿Cuáles son los cuatro dígitos?", "treinta y cinco, veintidós"),
        ("it", "Quali sono le quattro cifre?", "ventuno trentotto"),
        ("en", "What are the ten digits?", "two one two five five five oh one forty-three"),
    ],
)
def test_whoever_was_asked_for_so_many_digits_has_finished_after_them(language: str, asked: str, text: str) -> None:
    assert silence_needed(text, OPTIONS, language=language, asked=asked) == OPTIONS.complete


ORDINARY = {
    "en": [
        "I would like a table for two.", "There are thirty-five of us.", "It costs two hundred and fifty dollars.",
        "Can I come at nine thirty?", "I will be there at nine thirty.", "We are open from nine to five.",
        "I was born in nineteen eighty-two.", "She is twenty-one.", "The first one, please.",
        "Twenty minutes is fine.", "One moment.", "I'd like one hundred and twenty.", "It is 12:30.", "It costs 3.50.",
    ],
    "fr": [
        "Je voudrais une table pour deux.", "Nous sommes trente-cinq.", "J'ai quatre-vingt-deux ans.",
        "Je suis né en dix-neuf cent quatre-vingt-deux.", "Le train part à dix-huit heures trente.",
        "Ça coûte deux cent cinquante.", "Je passerai entre midi et deux.", "Il y en a cent.", "C'est tout à fait ça.",
        "On se voit à dix-neuf trente.", "Ça fait 3,50.", "C'est en deux mille vingt-six.",
    ],
    "es": [
        "Quiero una mesa para dos.", "Somos treinta y cinco.", "Tengo veintiún años.", "Llego a las nueve y media.",
        "Nací en mil novecientos ochenta y dos.", "Cuesta doscientos cincuenta.", "A las nueve treinta.", "Solo uno.",
        "Hay cien.", "Son cuarenta y uno.", "Llego a las dos y veinte.",
    ],
    "de": [
        "Ich hätte gern einen Tisch für zwei.", "Wir sind fünfunddreißig.", "Ich bin dreiundzwanzig.",
        "Um neun Uhr dreißig.", "Ich bin neunzehnhundertzweiundachtzig geboren.", "Es kostet zweihundertfünfzig.",
        "Ich komme um neun dreißig.", "Das war vor hundert Jahren.", "Es sind einundzwanzig.", "Es kostet 3,50.",
        "Wir haben von neun bis achtzehn Uhr dreißig.", "Nur eins.",
    ],
    "it": [
        "Vorrei un tavolo per due.", "Siamo trentacinque.", "Ho ventuno anni.", "Vengo alle nove e trenta.",
        "Sono nato nel millenovecentottantadue.", "Costa duecentocinquanta.", "Arrivo alle nove trenta.",
        "Sono cento.", "Ne ho ventotto.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(code, text) for code, texts in ORDINARY.items() for text in texts])
def test_a_number_in_an_ordinary_sentence_is_no_dictation(language: str, text: str) -> None:
    assert silence_needed(text, OPTIONS, language=language) <= OPTIONS.unclear


@pytest.mark.parametrize("language", ONES)
@given(number=st.integers(0, 99), ended=st.booleans())
def test_a_single_number_at_the_end_of_a_sentence_is_no_dictation(language: str, number: int, ended: bool) -> None:
    text = f"xxx xxx {spelled(number, language)}{'.' if ended else ''}"
    assert dictation(text, language_of(language)) == "none"


def test_no_word_of_the_lists_is_torn_apart() -> None:
    text = files("ai_worker.conversation").joinpath("languages.yaml").read_text(encoding="utf-8")

    def words(part: object) -> list[str]:
        match part:
            case dict():
                return [word for inner in part.values() for word in words(inner)]
            case str():
                return part.split()
        return []

    torn = [word for word in words(yaml.safe_load(text)) if word.startswith("-") or word.endswith("-")]
    assert torn == []


@given(st.text(max_size=200), st.sampled_from([*ONES, "pl"]))
def test_any_text_has_an_end(text: str, language: str) -> None:
    ending = language_of(language).numbers.at_end(text)
    assert ending.digits == sum(group.digits for group in ending.groups)


def test_a_long_dictation_costs_little() -> None:
    text = "deux cent vingt et un quatre vingt " * 200 + "mot"
    begun = time.perf_counter()
    assert language_of("fr").numbers.at_end(text).groups == ()
    assert time.perf_counter() - begun < 0.5
