// What a user chose, kept in this browser: face, voice, reaction, manner, microphone.
// Touches localStorage; a browser that refuses it forgets, and nothing else breaks.

const KEY = "mouthpiece";

export const DEFAULTS = Object.freeze({
  avatar: "",
  voice: "",
  hasSpoken: false, // once the first line has been said
  lookAheadMs: 80,
  cleanUp: true,
  hearYourself: false,
  styles: {}, // of the faces that ship, by name
});

export function load() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

export function save(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
}

/** A server that wants a token is opened as `…/#token=SECRET`; the token leaves the address bar at once. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (token) sessionStorage.setItem("mouthpiece-token", token);
    if (token) history.replaceState(null, "", location.pathname + location.search);
    return token ?? sessionStorage.getItem("mouthpiece-token") ?? "";
  } catch {
    return token ?? "";
  }
}
