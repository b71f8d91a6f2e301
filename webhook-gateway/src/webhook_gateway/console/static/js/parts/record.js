// A call's record (call.json) as the entries of its transcript, so that both are shown the same way.

/** The entries, turn by turn, each turn in the order of time. */
export function entriesOf(record) {
  const claims = (record.claims ?? []).map((claim) => ({ kind: "claimed", ...claim }));
  const turns = record.turns.flatMap((turn, at) => ofTurn(turn, at));
  // A worker that took over stands where it did; the first one at the head.
  const placed = [...claims.slice(0, 1), ...turns];
  for (const claim of claims.slice(1)) {
    const before = placed.findIndex((entry) => entry.at > claim.at);
    placed.splice(before < 0 ? placed.length : before, 0, claim);
  }
  if (record.machine) placed.push({ kind: "machine", sign: record.machine });
  if (record.outcome) placed.push({ kind: "finished", at: record.times?.finished_at, outcome: record.outcome, reason: record.reason });
  return placed;
}

// Records of an older version don't say that one failed.
function stateOf(tool) {
  if (tool.failed) return "failed";
  return tool.done_at === null ? "asked" : "done";
}

function ofTurn(turn, index) {
  // Numbers begin anew when a call comes back after its end: the place in the list is what names a turn.
  const key = index;
  const caller = turn.caller
    ? [{ kind: "caller", turn: key, text: turn.caller.text, started_at: turn.caller.started_at, at: turn.caller.ended_at }]
    : [];
  const timing = turn.timing ? [{ kind: "timing", turn: key, ...turn.timing }] : [];
  const rest = [
    ...turn.pressed.map((pressed) => ({ kind: "pressed", ...pressed })),
    ...turn.tools.map((tool, at) => ({
      kind: "tool", at: tool.asked_at, tool_call_id: `${key}-${at}`, name: tool.name, arguments: tool.arguments,
      state: stateOf(tool), result: tool.result,
    })),
    ...turn.actions.map((action, at) => ({
      kind: action.kind, at: action.asked_at ?? action.done_at, action_id: `${key}-${at}`, argument: action.argument,
      state: action.done_at ? "done" : "asked for, not done",
    })),
    ...turn.notes.map((note) => ({ kind: "note", ...note })),
    ...turn.bot.map((sentence, at) => ({ kind: "bot", segment: `${key}-${at}`, ...sentence, at: sentence.started_at ?? sentence.at })),
  ].sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
  const heard = turn.bot.flatMap((sentence, at) => sentence.heard_text === null
    ? [{ kind: "heard", segment: `${key}-${at}`, heard_text: "", interrupted: true }]
    : [{ kind: "heard", segment: `${key}-${at}`, heard_text: sentence.heard_text, interrupted: sentence.interrupted }]);
  return [...caller, ...rest, ...heard, ...timing];
}
