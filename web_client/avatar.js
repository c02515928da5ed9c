// <mouthpiece-avatar>: the talking face as one HTML element, and its client. This is the module to embed (docs/web.md).
// Touches its own shadow tree, and the network through MouthpieceClient.
// A still lies over the video until a frame has been shown, and again while the connection is replaced: never a black jump.

import { MouthpieceClient, ServerError } from "./client.js";

export { MouthpieceClient, ServerError };

const TEMPLATE = `
  <style>
    :host { display: block; position: relative; overflow: hidden; aspect-ratio: 1; }
    :host([hidden]) { display: none; }
    video, img, canvas { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: var(--mouthpiece-fit, contain); }
    img, canvas { opacity: 0; pointer-events: none; transition: opacity var(--mouthpiece-fade, 320ms) ease-out; }
    .shown { opacity: 1; transition-duration: 0s; }
    @media (prefers-reduced-motion: reduce) { img, canvas { transition-duration: 0s; } }
  </style>
  <video playsinline autoplay part="video"></video>
  <img alt="" part="still" draggable="false">
  <canvas></canvas>`;

/**
 * Attributes: `avatar` (name), `session` (watch that one instead), `src` (the server's address), `token`,
 * `look-ahead-ms`, `muted`, `autoconnect`.
 * Events: all of `client`, and `picture` (the first frame of a connection is on the screen), `soundblocked` (the browser
 * wants a click before it plays sound; `unblock()` from within one).
 */
export class MouthpieceAvatar extends HTMLElement {
  static observedAttributes = ["avatar", "muted"];
  #client = null;
  #still;
  #held;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = TEMPLATE;
    /** The video element: for picture-in-picture, capture, volume. */
    this.video = root.querySelector("video");
    this.#still = root.querySelector("img");
    this.#held = root.querySelector("canvas");
    this.#still.onload = () => this.video.srcObject || this.#still.classList.add("shown");
    this.#still.onerror = () => this.#still.classList.remove("shown");
  }

  /** The client of this element, made from its attributes on first use. Set it before that to bring your own. */
  get client() {
    if (!this.#client) this.client = new MouthpieceClient({ base: this.getAttribute("src"), token: this.getAttribute("token") ?? "" });
    return this.#client;
  }

  set client(client) {
    if (this.#client === client) return;
    this.#client = client;
    client.addEventListener("stream", ({ detail }) => this.#show(detail.stream));
    client.addEventListener("status", ({ detail }) => this.#onStatus(detail.status));
    client.addEventListener("hello", ({ detail }) => (this.style.aspectRatio = detail.size.join(" / ")));
    this.#showStill();
  }

  connectedCallback() {
    this.#showStill();
    if (this.hasAttribute("autoconnect")) this.connect().catch(() => {}); // told as an event as well
  }

  disconnectedCallback() {
    this.#client?.disconnect();
  }

  attributeChangedCallback(name) {
    if (name === "muted") this.video.muted = this.hasAttribute("muted");
    else this.#showStill();
  }

  /** Opens the session (or watches the one named). Resolves when it is live. @throws {ServerError} */
  connect() {
    const session = this.getAttribute("session");
    const lookAhead = this.getAttribute("look-ahead-ms");
    if (session) return this.client.watch(session);
    return this.client.connect({
      avatar: this.getAttribute("avatar") ?? undefined,
      lookAheadMs: lookAhead === null ? undefined : Number(lookAhead),
    });
  }

  /** Plays with sound, from within a click. */
  async unblock() {
    this.video.muted = this.hasAttribute("muted");
    await this.video.play();
  }

  async #show(stream) {
    this.#hold();
    const { video } = this;
    video.srcObject = stream;
    this.#onFrame(() => {
      this.#still.classList.remove("shown");
      this.#held.classList.remove("shown");
      this.dispatchEvent(new CustomEvent("picture"));
    });
    try {
      await video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // replaced by a newer stream meanwhile
      video.muted = true;
      await video.play().catch(() => {});
      this.dispatchEvent(new CustomEvent("soundblocked"));
    }
  }

  #onStatus(status) {
    if (status === "waiting") this.#hold();
    if (status !== "closed") return;
    this.#hold();
    this.video.srcObject = null;
    this.#showStill();
    this.#held.classList.remove("shown");
  }

  /** Calls back once a frame of the present stream is on the screen. */
  #onFrame(callback) {
    const { video } = this;
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(callback);
    else video.addEventListener("playing", callback, { once: true });
  }

  /** Keeps the last frame on the screen while what is under it changes. */
  #hold() {
    const { video } = this;
    if (!video.srcObject || !video.videoWidth) return;
    this.#held.width = video.videoWidth;
    this.#held.height = video.videoHeight;
    this.#held.getContext("2d").drawImage(video, 0, 0);
    this.#held.classList.add("shown");
  }

  #showStill() {
    const avatar = this.getAttribute("avatar");
    if (!avatar || !this.isConnected) return;
    const url = this.client.api.thumbnail(avatar);
    if (this.#still.src !== url) this.#still.src = url;
    else if (!this.video.srcObject && this.#still.complete) this.#still.classList.add("shown");
  }
}

customElements.define("mouthpiece-avatar", MouthpieceAvatar);
