// Asks the gateway. The session is a cookie that scripts can't read; the admin token is kept nowhere.

const BASE = "/console/api";
const TIMEOUT_MS = 15000;

/** An answer that is no success. `hint` says what to do about it, where the gateway knows. */
export class ApiError extends Error {
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** Told (with nothing) when an answer says that there is no session any more. */
export const session = new EventTarget();

export const get = (path) => request("GET", path);
export const post = (path, body = {}) => request("POST", path, body);

/** A page's address under the API, for what fetches by itself: <audio>, downloads, EventSource. */
export function address(path) {
  return BASE + path;
}

/** Opens a session. Throws ApiError. */
export async function signIn(token) {
  const bare = token.trim();
  if (!/^[\x21-\x7e]+$/.test(bare)) {
    throw new ApiError(400, "The token must be plain characters without spaces.", "Copy ADMIN_TOKEN as it is set.");
  }
  await send("POST", "/session", {}, { Authorization: `Bearer ${bare}` });
}

export async function signOut() {
  await send("DELETE", "/session");
}

/** Ends a softphone call even while the page is being left. */
export function endPhoneCall(callId) {
  return send("POST", `/softphone/${encodeURIComponent(callId)}/end`, {}, {}, { keepalive: true });
}

async function request(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (error) {
    if (error.status === 401) session.dispatchEvent(new Event("lost"));
    throw error;
  }
}

async function send(method, path, body, headers = {}, options = {}) {
  let answer;
  try {
    answer = await fetch(BASE + path, {
      method,
      headers: {
        Accept: "application/json",
        "X-Console": "1",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...options,
    });
  } catch (error) {
    const slow = error.name === "TimeoutError";
    throw new ApiError(0, slow ? "The gateway does not answer." : "The gateway can't be reached.", "Is it running?");
  }
  const text = await answer.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    // A proxy's own error page is not JSON; its status says enough.
  }
  if (!answer.ok) {
    const what = found?.message ?? found?.error ?? `The gateway answered ${answer.status}.`;
    throw new ApiError(answer.status, String(what), found?.hint ? String(found.hint) : "");
  }
  return found;
}
