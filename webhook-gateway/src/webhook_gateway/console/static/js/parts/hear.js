// Plays a recording from where someone wants to hear it.

/** Go to `second` of an <audio>, if one is given, and play it; `notice` tells why it can't be played. */
export async function hear(sound, notice, second = sound.currentTime) {
  sound.currentTime = second;
  try {
    await sound.play();
    notice.clear();
  } catch (error) {
    // Whoever pauses, leaves the page or picks another place before the sound has begun gets what he asked for.
    if (error.name !== "AbortError") notice.fail({ message: "The recording can't be played here:", hint: error.message });
  }
}
