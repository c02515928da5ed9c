// The film panel: a recording or the typed line, and the chosen face in its manner, become an MP4 to keep.
// Touches its card and the server's film calls.

import { sentenceOf } from "./api.js";
import { element } from "./dom.js";

const ASK_MS = 700;

const $ = (id) => document.getElementById(id);

export class FilmPanel {
  #api;
  #wishes;
  #film = null; // the one being made

  /**
   * @param {{api: import("./api.js").Api, wishes: () => {avatar: string, style: object, text: string, voice: string}}} options
   *   wishes: what the page says now
   */
  constructor({ api, wishes }) {
    this.#api = api;
    this.#wishes = wishes;
    $("film-audio").onchange = () => this.draw();
    $("film-clear").onclick = () => {
      $("film-audio").value = "";
      this.draw();
      $("film-audio").focus();
    };
    $("film-make").onclick = () => (this.#film ? this.#stop() : this.#make());
    this.draw();
  }

  /** What the button offers, by what is there to be filmed. */
  draw() {
    const [recording] = $("film-audio").files;
    const { text } = this.#wishes();
    $("film-name").textContent = recording?.name ?? "Choose a recording…";
    $("film-clear").hidden = !recording;
    $("film-make").disabled = !this.#film && !recording && !text;
    $("film-make").textContent = this.#film ? "Stop" : recording || !text ? "Make the film" : "Film the typed line";
  }

  async #make() {
    const [recording] = $("film-audio").files;
    const { avatar, style, text, voice } = this.#wishes();
    const form = new FormData();
    form.append("avatar", avatar);
    form.append("style", JSON.stringify(style));
    if (recording) form.append("audio", recording, recording.name);
    else {
      form.append("text", text);
      if (voice) form.append("voice", voice);
    }
    const bar = element("progress", { max: 1, ariaLabel: "Film" });
    const words = element("p", {}, "Sending…");
    this.#report(words, bar);
    this.#film = { id: null };
    this.draw();
    try {
      const film = (this.#film = await this.#api.addFilm(form));
      for (let said = film; this.#film === film; said = await this.#api.film(film.id)) {
        if (said.state === "done") return this.#report(...this.#result(said));
        if (said.state === "failed") throw new FilmError(said.error.message);
        const isBegun = said.progress > 0;
        words.textContent = said.state === "waiting" ? "Waiting for its turn…" : isBegun ? "Making the film…" : "Getting the face ready…";
        if (isBegun) bar.value = said.progress;
        await new Promise((resolve) => setTimeout(resolve, ASK_MS));
      }
    } catch (error) {
      const sentence = error instanceof FilmError ? error.message : sentenceOf(error);
      this.#report(element("p", { className: "note warning" }, sentence));
    } finally {
      this.#film = null;
      this.draw();
    }
  }

  #stop() {
    const { id } = this.#film;
    this.#film = {}; // ends the asking
    if (id) this.#api.deleteFilm(id).catch(() => {}); // gone already is as good
    this.#report();
  }

  #result({ id, seconds }) {
    const href = this.#api.url(`films/${id}/film.mp4`);
    const film = element("video", { src: href, controls: true, playsInline: true, preload: "metadata" });
    film.ariaLabel = "The film";
    const size = seconds ? `${seconds.toFixed(1)} s` : "";
    return [film, element("a", { className: "quiet", href, download: "mouthpiece.mp4" }, `Download the film ${size && `(${size})`}`)];
  }

  #report(...content) {
    $("film-state").replaceChildren(...content);
  }
}

class FilmError extends Error {
  constructor(message) {
    super(message.charAt(0).toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? "" : "."));
  }
}
