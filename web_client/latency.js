// The delay panel: where the milliseconds between voice and face go, by stage.
// Touches its part of the page. The server tells its stages twice a second; the network and this browser's buffer are
// measured here.

import { element } from "./dom.js";

const NAMES = {
  receive: "Receiving",
  look_ahead: "Listening ahead",
  queue: "Waiting for the engine",
  encoder: "Hearing what is said",
  motion: "Moving the face",
  picture: "Drawing it",
  wait: "Waiting for the beat",
  network: "Network, there and back",
  browser: "Buffer of this browser",
};

const BUFFER_EVERY_MS = 1000;

export class LatencyPanel {
  #client;
  #panel = document.getElementById("latency");
  #bar = document.getElementById("latency-bar");
  #list = document.getElementById("latency-stages");
  #total = document.getElementById("latency-total");
  #chip = document.getElementById("delay");
  #roundTripMs = null;
  #browserMs = null;
  #emitted = { seconds: 0, frames: 0 };

  /** @param {import("./client.js").MouthpieceClient} client */
  constructor(client) {
    this.#client = client;
    client.addEventListener("latency", ({ detail }) => this.#show(detail));
    client.addEventListener("round_trip", ({ detail }) => (this.#roundTripMs = detail.ms));
    client.addEventListener("stream", () => (this.#emitted = { seconds: 0, frames: 0 }));
    client.addEventListener("status", ({ detail }) => detail.status === "live" || this.#clear());
    setInterval(() => this.#measureBuffer(), BUFFER_EVERY_MS);
  }

  #show({ stages, total_ms: totalMs, late_per_mille: late }) {
    const parts = Object.entries({ ...stages, network: this.#roundTripMs, browser: this.#browserMs });
    const known = parts.filter(([, ms]) => ms !== null);
    const sumMs = totalMs + (this.#roundTripMs ?? 0) + (this.#browserMs ?? 0);
    this.#total.textContent = this.#chip.textContent = `${Math.round(sumMs)} ms`;
    if (!this.#panel.open) return;
    const row = (name, value) => element("div", {}, element("dt", {}, name), element("dd", {}, value));
    this.#bar.replaceChildren(...known.map(([name, ms]) => segment(name, ms)));
    this.#list.replaceChildren(
      ...known.map(([name, ms]) => row(NAMES[name] ?? plain(name), `${ms.toFixed(ms < 10 ? 1 : 0)} ms`)),
      row("All of it", `${Math.round(sumMs)} ms`),
      row("Late pictures", `${late.toFixed(late < 10 ? 1 : 0)} ‰`),
    );
  }

  #clear() {
    this.#roundTripMs = this.#browserMs = null;
    this.#chip.textContent = "";
    this.#total.textContent = "–";
    this.#bar.replaceChildren();
  }

  /** What a picture waited in this browser before it was decoded, over the last second (W3C WebRTC statistics). */
  async #measureBuffer() {
    if (this.#client.status !== "live" || document.hidden) return;
    for (const report of (await this.#client.stats())?.values() ?? []) {
      if (report.type !== "inbound-rtp" || report.kind !== "video") continue;
      const { jitterBufferDelay: seconds = 0, jitterBufferEmittedCount: frames = 0 } = report;
      const fresh = frames - this.#emitted.frames;
      if (fresh > 0) this.#browserMs = ((seconds - this.#emitted.seconds) / fresh) * 1000;
      this.#emitted = { seconds, frames };
    }
  }
}

function segment(name, ms) {
  const part = element("i", { title: `${NAMES[name] ?? plain(name)}: ${ms.toFixed(1)} ms` });
  part.style.flexGrow = Math.max(0, ms);
  return part;
}

const plain = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
