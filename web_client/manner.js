// The face's manner: feeling, look, strengths. Shows the style in force, changes it at once, keeps it with the avatar.
// Touches its card. A face of the user's own keeps its style on the server; one that ships keeps it in this browser.

import { sentenceOf } from "./api.js";
import { element } from "./dom.js";

export const NATURAL = Object.freeze({
  mouth: 1,
  head: 1,
  gaze: 1,
  blink: true,
  feeling: "neutral",
  intensity: 1,
  look: "free",
  listening: 0,
});

const FEELINGS = {
  neutral: ["Neutral", "M10.5 18.5h7"],
  warm: ["Warm", "M10 18q4 2.8 8 0"],
  happy: ["Happy", "M9 16.8q5 6.6 10 0z"],
  serious: ["Serious", "M10.5 19h7M8 9.3h4.2M15.8 9.3h4.2"],
  sad: ["Sad", "M10 20q4-3.8 8 0M7.8 10l4-1.9M20.2 10l-4-1.9"],
  surprised: ["Surprised", "M14 17.2a2.2 2.6 0 1 0 .01 0M7.8 8.2q2.2-2 4.4-.4M20.2 8.2q-2.2-2-4.4-.4"],
  angry: ["Angry", "M10 19.8q4-2.4 8 0M7.8 8.2l4.2 2M20.2 8.2l-4.2 2"],
  auto: ["Auto", "M7 12.5v3M10.5 9.5v9M14 6.5v15M17.5 9.5v9M21 12.5v3"],
};

const LIVE_MS = 120; // between two changes while a slider is moved
const KEEP_MS = 700; // after the last change
const QUIET_MS = 1000; // the server's echo of one's own change is older than the slider

export class Manner {
  #api;
  #client;
  #settings;
  #remember;
  #avatar = null;
  #style = { ...NATURAL };
  #change = {}; // not sent yet
  #timers = {};
  #touchedAt = -Infinity;
  #form = document.getElementById("manner");
  #kept = document.getElementById("manner-kept");
  #natural = document.getElementById("natural");

  /**
   * @param {{api: import("./api.js").Api, client: import("./client.js").MouthpieceClient, settings: {styles: object},
   *   remember: (change: object) => void, onError: (error: Error) => void}} options
   */
  constructor({ api, client, settings, remember, onError }) {
    this.#api = api;
    this.#client = client;
    this.#settings = settings;
    this.#remember = remember;
    this.onError = onError;
    document.getElementById("feelings").append(...Object.entries(FEELINGS).map(feeling));
    this.#form.oninput = ({ target }) => this.#set({ [target.name]: valueOf(target) });
    this.#form.onsubmit = (event) => event.preventDefault();
    this.#natural.onclick = () => this.#set(NATURAL);
    client.addEventListener("hello", () => this.#send({ ...this.#style }));
    client.addEventListener("style", ({ detail }) => this.#follow(detail));
    this.#draw();
  }

  /** Another face: its own style is shown, and sent to a session that has one. */
  setAvatar(avatar) {
    this.#keepNow();
    this.#avatar = avatar;
    this.#style = { ...NATURAL, ...(avatar.builtin ? this.#settings.styles[avatar.name] : avatar.style) };
    this.#draw();
    this.#say(avatar.builtin ? "Changes are kept in this browser." : "Changes are kept with this face.");
  }

  /** Every setting, as it is shown. */
  get style() {
    return { ...this.#style };
  }

  #set(change) {
    this.#touchedAt = performance.now();
    Object.assign(this.#style, change);
    Object.assign(this.#change, change);
    this.#draw();
    this.#timers.live ??= setTimeout(() => this.#sendChange(), LIVE_MS);
    clearTimeout(this.#timers.keep);
    this.#timers.keep = setTimeout(() => this.#keepNow(), KEEP_MS);
  }

  #sendChange() {
    this.#timers.live = undefined;
    const change = this.#change;
    this.#change = {};
    this.#send(change);
  }

  #send(change) {
    if (this.#client.session) this.#client.setStyle(change).catch(this.onError);
  }

  /** What is in force, whoever has changed it; while a control is being moved, later. */
  #follow(style) {
    clearTimeout(this.#timers.follow);
    const waitMs = this.#touchedAt + QUIET_MS - performance.now();
    if (waitMs > 0) {
      this.#timers.follow = setTimeout(() => this.#follow(style), waitMs);
      return;
    }
    for (const name of Object.keys(NATURAL)) this.#style[name] = style[name] ?? this.#style[name];
    this.#draw();
  }

  async #keepNow() {
    if (!this.#timers.keep) return;
    clearTimeout(this.#timers.keep);
    this.#timers.keep = undefined;
    const [avatar, style] = [this.#avatar, { ...this.#style }];
    if (!avatar) return;
    if (avatar.builtin) {
      this.#remember({ styles: { ...this.#settings.styles, [avatar.name]: style } });
      return this.#say("Kept in this browser.");
    }
    avatar.style = style;
    const said = await this.#api.keepStyle(avatar.name, style).then(() => "Kept with this face.", (error) => `Not kept. ${sentenceOf(error)}`);
    if (avatar === this.#avatar) this.#say(said);
  }

  #draw() {
    for (const control of this.#form.elements) {
      const value = this.#style[control.name];
      if (control.type === "radio") control.checked = control.value === value;
      else if (control.type === "checkbox") control.checked = value;
      else if (control.type === "range") drawSlider(control, value);
    }
    const { intensity } = this.#form.elements;
    intensity.disabled = this.#style.feeling === "neutral";
    this.#natural.disabled = Object.entries(NATURAL).every(([name, value]) => this.#style[name] === value);
  }

  #say(sentence) {
    this.#kept.textContent = sentence;
  }
}

function feeling([value, [title, path]]) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const face = value === "auto" ? "" : '<circle cx="14" cy="14" r="11.2"/><path d="M10.4 12.6v.1M17.6 12.6v.1" class="eyes"/>';
  svg.setAttribute("viewBox", "0 0 28 28");
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = `${face}<path d="${path}"/>`;
  const input = element("input", { type: "radio", name: "feeling", value });
  return element("label", { title: value === "auto" ? "Follows the voice" : "" }, input, element("span", {}, svg, title));
}

const valueOf = (control) =>
  control.type === "checkbox" ? control.checked : control.type === "range" ? Number(control.value) : control.value;

function drawSlider(slider, value) {
  slider.value = value;
  slider.style.setProperty("--at", value / slider.max);
  slider.nextElementSibling.textContent = slider.ariaValueText = `${Math.round(value * 100)} %`;
}
