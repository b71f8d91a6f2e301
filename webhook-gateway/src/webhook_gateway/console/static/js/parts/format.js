// Times, lengths and numbers as people read them, in the browser's language where that matters.

const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Epoch seconds as day and time. */
export function dayAndTime(at) {
  return Number.isFinite(at) ? DAY_AND_TIME.format(at * 1000) : "";
}

/** Epoch seconds as the time of day. */
export function clock(at) {
  return Number.isFinite(at) ? CLOCK.format(at * 1000) : "";
}

/** Seconds as 1:02 or 1:00:02. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Seconds as one unit: 12 s, 3 min, 2 h, 5 d. */
export function roughly(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

/** Milliseconds, whole. */
export function ms(value) {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : "";
}

/** A phone number: digits of an international number get their plus. */
export function phone(number) {
  if (!number) return "unknown";
  return /^[1-9]\d{7,14}$/.test(number) ? `+${number}` : String(number);
}

/** A name like caller_left as words. */
export function words(name) {
  return name ? String(name).replaceAll("_", " ") : "";
}
