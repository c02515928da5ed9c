// The server's HTTP calls, and what can go wrong with them as one kind of error.
// Touches the network only. Every failure is a ServerError whose message is a sentence for people.

export class ServerError extends Error {
  /**
   * @param {string} message a sentence that says what to do
   * @param {{code?: string, status?: number, retryAfterS?: number}} [facts] status 0: the server did not answer
   */
  constructor(message, { code = "unreachable", status = 0, retryAfterS } = {}) {
    super(sentence(message));
    this.name = "ServerError";
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same call may succeed a little later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export class Api {
  /**
   * @param {string|URL} [base] the server's address; by default the one that this module came from
   * @param {string} [token] bearer token, where the server asks for one
   */
  constructor(base, token = "") {
    this.base = new URL(base || "..", import.meta.url);
    if (!this.base.pathname.endsWith("/")) this.base.pathname += "/";
    this.token = token;
  }

  url(path) {
    return new URL(path.replace(/^\//, ""), this.base).href;
  }

  avatars = () => this.#json("GET", "avatars");
  voices = () => this.#json("GET", "voices");
  iceServers = () => this.#json("GET", "ice");
  deleteAvatar = (name) => this.#call("DELETE", `avatars/${encodeURIComponent(name)}`);
  thumbnail = (name) => this.url(`avatars/${encodeURIComponent(name)}/thumbnail.jpg`);

  /** @returns {Promise<{id: string, sdp: string, resume_token: string}>} */
  openSession = (body) => this.#json("POST", "sessions", body);
  speak = (id, text, voice) => this.#json("POST", `sessions/${id}/speak`, voice ? { text, voice } : { text });
  interrupt = (id) => this.#call("POST", `sessions/${id}/interrupt`);
  style = (id, style) => this.#json("POST", `sessions/${id}/style`, style);

  keepStyle = (name, style) => this.#json("PUT", `avatars/${encodeURIComponent(name)}/style`, style);

  /** @param {FormData} form docs/architecture.md @returns {Promise<{id: string, state: string, progress: number}>} */
  addFilm = async (form) => (await this.#call("POST", "films", form)).json();
  film = (id) => this.#json("GET", `films/${id}`);
  deleteFilm = (id) => this.#call("DELETE", `films/${id}`);

  /** Ends a session; also while the page is being closed. */
  closeSession = (id) => this.#call("DELETE", `sessions/${id}`, undefined, { keepalive: true });

  /** @returns {Promise<string>} the SDP answer of one more viewer of a session */
  async viewSession(id, sdp) {
    const path = `sessions/${encodeURIComponent(id)}/view`;
    const answer = await this.#call("POST", path, sdp, { headers: { "Content-Type": "application/sdp" } });
    return answer.text();
  }

  /**
   * Uploads a photo. XMLHttpRequest, because fetch cannot tell how much has been sent.
   * @param {(sent: number) => void} onProgress 0..1; 1 means that the server is now at work
   * @param {object|null} [points] where the face is, if the server must be told (points.js)
   */
  addAvatar(photo, onProgress, points = null) {
    const form = new FormData();
    if (points) form.append("points", JSON.stringify(points));
    form.append("photo", photo, photo.name || "photo.jpg");
    const request = new XMLHttpRequest();
    request.open("POST", this.url("avatars"));
    if (this.token) request.setRequestHeader("Authorization", `Bearer ${this.token}`);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(new ServerError("The photo did not reach the server. Try again."));
      request.onload = () => {
        if (request.status === 201) resolve(JSON.parse(request.responseText));
        else reject(errorOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      };
      request.send(form);
    });
  }

  async #json(method, path, body) {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    const text = body === undefined ? undefined : JSON.stringify(body);
    return (await this.#call(method, path, text, { headers })).json();
  }

  async #call(method, path, body, { headers = {}, keepalive = false } = {}) {
    if (this.token) headers = { ...headers, Authorization: `Bearer ${this.token}` };
    let answer;
    try {
      answer = await fetch(this.url(path), { method, headers, body, keepalive });
    } catch {
      throw new ServerError("The server does not answer.");
    }
    if (!answer.ok) throw errorOf(answer.status, await answer.text(), answer.headers.get("Retry-After"));
    return answer;
  }
}

/** Whatever was thrown, as a sentence for people. */
export const sentenceOf = (error) => (error instanceof ServerError ? error.message : "Something went wrong on this page. Reload it.");

function errorOf(status, text, retryAfter) {
  const retryAfterS = Number(retryAfter) || undefined;
  try {
    const { code, message } = JSON.parse(text).error;
    return new ServerError(message, { code, status, retryAfterS });
  } catch {
    // A proxy in between answered, not Mouthpiece.
    return new ServerError(`The server answered with status ${status}. Try again.`, { code: "http", status, retryAfterS });
  }
}

function sentence(text) {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}
