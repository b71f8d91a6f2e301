"""What a telephone carries that is no speech: coughs, doors, keys, and the noise of a place; all of it seeded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bench.moments.clips import RATE, Signal, clip
from bench.moments.moment import Background, Voice, Words
from ringover_sim.audio import resample_pcm
from ringover_sim.dtmf import tones
from ringover_sim.speech import noise_rms, telephone
from support import recordings

SNR_DB = 10.0
_TALKERS = ("arctic_a0007", "cards_005", "librivox_0890", "librivox_0920")
_BACKGROUND_S = 12


def sound(name: str) -> Signal:
    """A short sound by its name; "keys 12#" are keys pressed. Raises KeyError for one it doesn't know."""
    kind, _, keys = name.partition(" ")
    if kind == "keys":
        return np.frombuffer(tones(keys, RATE), "<i2").astype(np.float32)
    return _SOUNDS[name](np.random.default_rng(len(name)))


@cache
def background(name: Background) -> Signal:
    """Twelve seconds of the noise of a place, to be repeated: SNR_DB below a caller's speech (RMS)."""
    made = {"pink": _pink, "hum": _hum, "babble": _babble}[name](np.random.default_rng(1), RATE * _BACKGROUND_S)
    return np.asarray(made * noise_rms(SNR_DB) / np.sqrt((made**2).mean()), np.float32)


def _pink(random: np.random.Generator, length: int) -> Signal:
    """As much power in each octave: a street, a fan."""
    spectrum = np.fft.rfft(random.normal(0, 1, length))
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 50)
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(frequencies), length), np.float32)


def _hum(random: np.random.Generator, length: int) -> Signal:
    """A machine room: harmonics of 100 Hz that swell and fade, and some hiss."""
    time = np.arange(length) / RATE
    hum = np.zeros(length)
    for harmonic in range(1, 9):
        swell = 1 + 0.3 * np.sin(2 * np.pi * random.uniform(0.2, 1.5) * time + random.uniform(0, 6))
        hum += swell / harmonic * np.sin(2 * np.pi * 100 * harmonic * time + random.uniform(0, 6))
    return (hum + random.normal(0, 0.1, length)).astype(np.float32)


def _babble(random: np.random.Generator, length: int) -> Signal:
    """Four people talk at once across a room, none to be understood: real recordings over each other, over and over."""
    mixed = np.zeros(length, np.float32)
    for name in _TALKERS:
        loaded = recordings.load_wideband(name)
        pcm = telephone(resample_pcm(loaded.pcm, loaded.sample_rate, RATE), RATE)
        voice = np.frombuffer(pcm, "<i2").astype(np.float32)
        mixed += np.resize(np.roll(voice, int(random.integers(len(voice)))), length)
    return mixed


def _bursts(random: np.random.Generator, *bursts: tuple[float, float, float]) -> Signal:
    """Noise of a throat: (begin s, length s, peak amplitude) of each burst, sharp onset and exponential decay."""
    length = int(RATE * max(begin + seconds for begin, seconds, _ in bursts))
    made = np.zeros(length)
    for begin, seconds, peak in bursts:
        count = int(RATE * seconds)
        time = np.arange(count) / RATE
        noise = np.convolve(random.normal(0, 1, count + 40), _FORMANTS, "valid")[:count]
        start = int(RATE * begin)
        made[start : start + count] += peak * noise * np.minimum(1, time / 0.008) * np.exp(-4 * time / seconds)
    return made.astype(np.float32)


def _cough(random: np.random.Generator) -> Signal:
    return _bursts(random, (0.0, 0.28, 7000))


def _cough_twice(random: np.random.Generator) -> Signal:
    return _bursts(random, (0.0, 0.3, 8000), (0.42, 0.35, 6000))


def _sneeze(random: np.random.Generator) -> Signal:
    return np.concatenate([_breath(random)[: RATE // 3] * 1.5, _bursts(random, (0.0, 0.45, 9000))])


def _throat(random: np.random.Generator) -> Signal:
    """Somebody clears their throat: a rough buzz of 0.5 s, the sound here that is most like a voice."""
    time = np.arange(RATE // 2) / RATE
    pulses = np.sign(np.sin(2 * np.pi * 85 * time + 2 * np.sin(2 * np.pi * 31 * time))) * random.uniform(
        0.4, 1, len(time)
    )
    shaped = np.convolve(pulses, _FORMANTS, "same") * np.sin(np.pi * time / time[-1])
    return np.asarray(2500 * shaped, np.float32)


def _voiced(noise: str, voice: Voice) -> Callable[[np.random.Generator], Signal]:
    """A noise made with the voice: no word to a speech-to-text, but speech to a voice-activity detector."""
    return lambda random: clip(Words(noise), voice).samples


def _breath(random: np.random.Generator) -> Signal:
    length = int(RATE * 0.7)
    noise = _pink(random, length)
    return np.asarray(600 * noise / noise.std() * np.hanning(length), np.float32)


def _click(random: np.random.Generator) -> Signal:
    length = RATE // 100
    return (12000 * random.normal(0, 1, length) * np.exp(-np.arange(length) / 12)).astype(np.float32)


def _typing(random: np.random.Generator) -> Signal:
    made = np.zeros(int(RATE * 1.2), np.float32)
    for begin in np.arange(0, 1.1, 0.13) + random.uniform(0, 0.05, 9):
        key = _click(random) * 0.25
        start = int(begin * RATE)
        made[start : start + len(key)] += key
    return made


def _door(random: np.random.Generator) -> Signal:
    time = np.arange(int(RATE * 0.6)) / RATE
    thump = np.sin(2 * np.pi * 110 * time) + 0.6 * np.sin(2 * np.pi * 187 * time) + random.normal(0, 0.5, len(time))
    return (11000 * thump * np.exp(-time / 0.09)).astype(np.float32)


_TIME = np.arange(40) / RATE
_FORMANTS = np.exp(-_TIME * 700) * (np.cos(2 * np.pi * 700 * _TIME) + 0.6 * np.cos(2 * np.pi * 1500 * _TIME)) / 3
"""A throat's resonances, as an impulse response of 5 ms."""

_SOUNDS: dict[str, Callable[[np.random.Generator], Signal]] = {
    "cough": _cough,
    "cough twice": _cough_twice,
    "sneeze": _sneeze,
    "throat": _throat,
    "breath": _breath,
    "click": _click,
    "typing": _typing,
    "door": _door,
    "laugh": _voiced("ha ha ha ha", "low"),
    "ahem": _voiced("uh hem", "bright"),
    "sigh": _voiced("haah", "low"),
}
