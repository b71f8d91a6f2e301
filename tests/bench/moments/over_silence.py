"""Moments in which it is the caller's turn: whole sentences, pauses, dictation, noise, sounds that are no speech."""

from __future__ import annotations

from bench.moments.moment import Background, Kind, Moment, Part, Pause, Right, Sound, Voice, Words

_VOICES: tuple[Voice, ...] = ("low", "deep", "bright")


def _spoken(kind: Kind, right: Right, *scripts: tuple[str, tuple[Part, ...]]) -> tuple[Moment, ...]:
    """Voices take turns."""
    return tuple(Moment(name, kind, right, parts, voice=_VOICES[n % 3]) for n, (name, parts) in enumerate(scripts))


def _open(spoken: str) -> Words:
    return Words(spoken, tail="open")


def _figures(spoken: str, written: str, *, glued: bool = False) -> Words:
    return Words(spoken, written, "dictation", glued=glued)


_COMPLETE = _spoken(
    "complete",
    "answer",
    ("opening time", (Words("What time do you open on Saturday?"),)),
    ("renew a card", (Words("I would like to renew my library card."),)),
    ("price of printing", (Words("How much does printing cost?"),)),
    ("yes", (Words("Yes."),)),
    ("no", (Words("No."),)),
    ("tomorrow at noon", (Words("Tomorrow at noon."),)),
    ("no thank you", (Words("No, thank you."),)),
    ("dog", (Words("Can I bring my dog?"),)),
    ("a bill", (Words("I need to speak to somebody about my bill."),)),
    ("a name", (Words("My name is Sarah Miller."),)),
    ("friday", (Words("Friday would be better."),)),
    ("yes please", (Words("Yes, please."),)),
    ("two sentences", (Words("I lost my card yesterday."), Pause(0.15), Words("What should I do?"))),
    ("recorded: go forward", (Words("go forward ten meters", "Go forward 10 meters.", recording="goforward"),)),
    (
        "recorded: young man",
        (
            Words(
                "he was not an ill disposed young man",
                "He was not an ill-disposed young man.",
                recording="librivox_0880",
            ),
        ),
    ),
    (
        "recorded: amiable",
        (
            Words(
                "he might even have been made amiable himself",
                "He might even have been made amiable himself.",
                recording="librivox_0930",
            ),
        ),
    ),
    (
        "recorded: superlative",
        (
            Words(
                "and you always want to see it in the superlative degree",
                "And you always want to see it in the superlative degree.",
                recording="arctic_a0007",
            ),
        ),
    ),
)

_PAUSES = _spoken(
    "pause",
    "answer",
    ("0.8 s after and", (_open("I would like to book a table and"), Pause(0.8), Words("I need a high chair."))),
    ("1.0 s after because", (_open("I'm calling because"), Pause(1.0), Words("my order has not arrived."))),
    ("0.7 s after to", (_open("Can you send it to"), Pause(0.7), Words("my office in Lyon?"))),
    (
        "0.6 s after um, 0.5 s after about",
        (_open("Um,"), Pause(0.6), _open("I wanted to ask about"), Pause(0.5), Words("the opening hours.")),
    ),
    ("1.2 s after that", (_open("The thing is that"), Pause(1.2), Words("I can't find my receipt."))),
    ("0.9 s after or", (_open("I would like to come on Monday or"), Pause(0.9), Words("maybe on Tuesday."))),
    ("0.6 s after have", (_open("Do you have"), Pause(0.6), Words("any rooms for tonight?"))),
    ("1.1 s after but", (_open("It was delivered, but"), Pause(1.1), Words("the box was empty."))),
    ("0.9 s after the", (_open("I'd like the"), Pause(0.9), Words("blue one, please."))),
    ("0.8 s after if it rains", (_open("And if it rains,"), Pause(0.8), Words("can I cancel?"))),
    ("1.0 s after with", (_open("We are four adults with"), Pause(1.0), Words("two small children."))),
    ("1.2 s after uh", (_open("My appointment is, uh,"), Pause(1.2), Words("next Thursday morning."))),
    ("0.5 s after so", (_open("So,"), Pause(0.5), Words("how does this work?"))),
    (
        "0.4 s after for, 0.7 s after from",
        (
            _open("I'm looking for"),
            Pause(0.4),
            _open("a train that leaves from"),
            Pause(0.7),
            Words("Paris in the evening."),
        ),
    ),
    (
        "1.0 s after which",
        (_open("I have a question about the book which"), Pause(1.0), Words("I returned last week.")),
    ),
    ("0.7 s after my", (_open("Could you please check my"), Pause(0.7), Words("account balance?"))),
    ("0.4 s after a table", (Words("I'd like to book a table"), Pause(0.4), Words("for two people."))),
    ("0.4 s after my flight", (Words("I want to change my flight"), Pause(0.4), Words("from Paris to Rome."))),
)

_DICTATED = _spoken(
    "dictated",
    "answer",
    (
        "phone number in pairs, 0.6 to 0.8 s",
        (
            _figures("My number is zero six", "My number is 06"),
            Pause(0.7),
            _figures("twelve", "12"),
            Pause(0.6),
            _figures("thirty four", "34"),
            Pause(0.8),
            _figures("fifty six", "56"),
            Pause(0.6),
            _figures("seventy eight", "78."),
        ),
    ),
    (
        "phone number in halves, 1.2 s",
        (
            _figures("zero one four four seven", "01447"),
            Pause(1.2),
            _figures("nine two zero one five", "92015.", glued=True),
        ),
    ),
    (
        "phone number with a closing word",
        (
            _figures("It's zero six", "It's 06"),
            Pause(0.9),
            _figures("twenty two", "22"),
            Pause(0.9),
            _figures("ninety one", "91"),
            Pause(1.0),
            _figures("forty", "40"),
            Pause(0.9),
            Words("eleven, that's my mobile.", "11, that's my mobile."),
        ),
    ),
    (
        "order number, 1.0 s",
        (
            _figures("The order number is four seven", "The order number is 47"),
            Pause(1.0),
            _figures("two nine one eight", "2918."),
        ),
    ),
    (
        "order number, 1.5 s, thank you",
        (
            _figures("It's order seven three", "It's order 73"),
            Pause(1.5),
            _figures("eight eight two", "882."),
            Pause(0.5),
            Words("Thank you."),
        ),
    ),
    (
        "reference with letters, 0.9 s",
        (
            _figures("The reference is A B", "The reference is AB"),
            Pause(0.9),
            _figures("one two three four.", "1234.", glued=True),
        ),
    ),
    (
        "single digits, 0.5 s",
        (
            _figures("nine", "9"),
            Pause(0.5),
            _figures("two", "2"),
            Pause(0.5),
            _figures("four", "4"),
            Pause(0.5),
            _figures("one", "1."),
        ),
    ),
    (
        "spelling by twos, 0.8 s",
        (
            _figures("It's spelled M I", "It's spelled M-I"),
            Pause(0.8),
            _figures("L L", "L-L"),
            Pause(0.8),
            _figures("E R.", "E-R."),
        ),
    ),
    (
        "spelling, then the name",
        (
            _figures("That's K O", "That's K-O"),
            Pause(0.7),
            _figures("W A L", "W-A-L"),
            Pause(0.9),
            Words("Kowal, like that."),
        ),
    ),
    (
        "e-mail, 0.9 s before at",
        (
            _figures("My email is sarah dot miller", "My email is sarah.miller"),
            Pause(0.9),
            Words("at gmail dot com.", "@gmail.com.", glued=True),
        ),
    ),
    (
        "e-mail, 1.2 s after at",
        (
            _figures("You can write to info at", "You can write to info at"),
            Pause(1.2),
            Words("maple street dot org.", "maplestreet.org."),
        ),
    ),
    (
        "e-mail, thank you",
        (
            _figures("It's john", "It's John"),
            Pause(0.8),
            _figures("at example dot net", "@example.net.", glued=True),
            Pause(0.4),
            Words("Thanks a lot."),
        ),
    ),
    (
        "card expiry, 0.8 s",
        (_figures("It expires in zero nine", "It expires in 09"), Pause(0.8), _figures("twenty seven.", "27.")),
    ),
    (
        "postcode and town, 1.1 s",
        (
            _figures("The postcode is six nine", "The postcode is 69"),
            Pause(1.1),
            Words("zero zero two in Lyon.", "002 in Lyon.", glued=True),
        ),
    ),
    (
        "recorded: cards",
        (
            Words(
                "eight of spades four of clubs seven of hearts",
                "Eight of spades, four of clubs, seven of hearts.",
                recording="cards_005",
            ),
        ),
    ),
    (
        "a date, 0.7 s",
        (
            _figures("I was born on the third", "I was born on the third"),
            Pause(0.7),
            Words("of May nineteen eighty four.", "of May 1984."),
        ),
    ),
)


def _noisy(background: Background, name: str, *parts: Part, voice: Voice = "low") -> Moment:
    kind: Kind = "noise while the caller talks"
    return Moment(f"{background}: {name}", kind, "answer", parts, voice=voice, background=background)


_NOISY = (
    _noisy("pink", "a question", Words("How long can I keep a book?")),
    _noisy(
        "pink",
        "a pause",
        _open("I would like to know whether"),
        Pause(0.8),
        Words("you have a parking lot."),
        voice="deep",
    ),
    _noisy("pink", "yes please", Words("Yes, please."), voice="bright"),
    _noisy("hum", "a question", Words("Where is the library?"), voice="bright"),
    _noisy(
        "hum",
        "figures",
        _figures("My card number is five five", "My card number is 55"),
        Pause(0.8),
        Words("one nine, thank you.", "19, thank you."),
    ),
    _noisy("hum", "a sentence", Words("I would like to speak to a person."), voice="deep"),
    _noisy("babble", "a question", Words("What does a library card cost?")),
    _noisy("babble", "a sentence", Words("I would like to reserve a room for Tuesday."), voice="bright"),
)


def _sound(name: str, *sounds: Part) -> Moment:
    return Moment(name, "sound into silence", "stay quiet", sounds)


_SOUNDS = (
    _sound("cough", Sound("cough twice")),
    _sound("sneeze", Sound("sneeze")),
    _sound("throat", Sound("throat")),
    _sound("ahem", Sound("ahem")),
    _sound("breath", Sound("breath")),
    _sound("door", Sound("door")),
    _sound("typing", Sound("typing")),
    _sound("click, click", Sound("click"), Pause(0.7), Sound("click")),
    Moment(
        "cough, then a question",
        "complete",
        "answer",
        (Sound("cough"), Pause(0.8), Words("Is there a lift in the building?")),
    ),
    Moment("ahem, then a question", "complete", "answer", (Sound("ahem"), Pause(0.5), Words("Can I borrow a laptop?"))),
)

OVER_SILENCE: tuple[Moment, ...] = (*_COMPLETE, *_PAUSES, *_DICTATED, *_NOISY, *_SOUNDS)
