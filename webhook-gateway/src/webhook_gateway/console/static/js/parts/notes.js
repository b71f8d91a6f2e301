// What a note of the transcript is about: the words are those that the worker writes (its `note(…)` calls).

// Where someone else took over, that is the news: what failed stands in it too.
const KINDS = [
  { kind: "fallback", name: "fallback", words: /\b(took|takes) over\b|\bfalls? back\b/ },
  { kind: "error", name: "error", words: /\b(failed|refused)\b|\bno news of the audio\b/ },
];
const PLAIN = { kind: "", name: "note" };

/** {kind, name}: an error, a fallback (someone else did it, the call went on), or a plain note. */
export function noteKind(text) {
  // What a caller said, or an operator wished, says nothing of how the system is.
  if (/^(echo|backchannel|operator)\b/.test(text)) return PLAIN;
  return KINDS.find(({ words }) => words.test(text)) ?? PLAIN;
}
