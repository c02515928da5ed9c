// The faces to choose from, and the way in for a new one: choose, drop or paste a photo.
// Touches its part of the page and the server's avatar calls. `onChoose(avatar)` hears every choice.

import { sentenceOf } from "./api.js";
import { element, icon } from "./dom.js";
import { prepared } from "./photo.js";
import { placed } from "./points.js";

export class Gallery {
  #api;
  #avatars = [];
  #chosen = "";
  #faces = document.getElementById("faces");
  #input = document.getElementById("photo");
  #upload = document.getElementById("upload");

  /** @param {{api: import("./api.js").Api, onChoose: (avatar: object) => void, onError: (error: Error) => void}} options */
  constructor({ api, onChoose, onError }) {
    this.#api = api;
    this.onChoose = onChoose;
    this.onError = onError;
    this.#input.onchange = () => {
      if (this.#input.files.length) this.add(this.#input.files[0]);
      this.#input.value = ""; // so that the same file can be chosen again
    };
    this.#takeDrops();
  }

  /** Fetches the list and chooses `name`, or the first where that is gone. */
  async load(name) {
    this.#avatars = await this.#api.avatars();
    const avatar = this.#avatars.find((a) => a.name === name) ?? this.#avatars[0];
    this.#chosen = avatar?.name ?? "";
    this.#draw();
    if (avatar) this.onChoose(avatar);
  }

  /** Uploads a photo, shows how it goes, and chooses the new face. points: where it is, if the program must be told. */
  async add(file, points = null) {
    const bar = element("progress", { max: 1, ariaLabel: "Upload" });
    const text = element("p", {}, "Sending the photo…");
    this.#report([text, bar]);
    try {
      file = points ? file : await prepared(file);
      const onProgress = (sent) => {
        bar.value = sent;
        if (sent < 1) return;
        bar.removeAttribute("value"); // from now on it only says "busy"
        text.textContent = "Finding the face…";
      };
      const avatar = await this.#api.addAvatar(file, onProgress, points);
      await this.load(avatar.name);
      this.#report([element("p", {}, element("b", {}, "Your photo is ready to talk.")), notes(avatar.quality)]);
    } catch (error) {
      const again = element("button", { className: "quiet", onclick: () => this.#input.click() }, "Choose another photo");
      const place = element("button", { className: "quiet", onclick: () => this.#place(file) }, "Show where the face is");
      const canBePlaced = ["no_face", "bad_points"].includes(error.code);
      this.#report([element("p", { className: "note warning" }, icon("warning"), sentenceOf(error)), ...(canBePlaced ? [place] : []), again]);
    }
  }

  /** A second try with a photo in which no face was found. */
  async #place(file) {
    const points = await placed(file);
    if (points) await this.add(file, points);
  }

  #draw() {
    const add = element("button", { className: "face add", type: "button", ariaLabel: "Add your photo", onclick: () => this.#input.click() });
    add.append(icon("photo"), element("span", {}, "Add"));
    this.#faces.replaceChildren(...this.#avatars.map((avatar) => this.#face(avatar)), add);
  }

  #face(avatar) {
    const input = element("input", { type: "radio", name: "face", value: avatar.name, checked: avatar.name === this.#chosen });
    const title = avatar.title || avatar.name;
    input.ariaLabel = title;
    input.onchange = () => {
      this.#chosen = avatar.name;
      this.#upload.hidden = true;
      this.onChoose(avatar);
    };
    const picture = element("img", { src: this.#api.thumbnail(avatar.name), alt: "", loading: "lazy", draggable: false });
    const label = element("label", { className: "face", title: avatar.origin || title }, input, picture, element("span", {}, title));
    if (avatar.builtin) return label;
    const remove = element("button", { className: "remove", type: "button", ariaLabel: `Delete ${title}`, title: "Delete" }, icon("x"));
    remove.onclick = () => this.#remove(avatar, title);
    return element("div", { className: "own" }, label, remove);
  }

  async #remove(avatar, title) {
    if (!(await confirmed(`Delete the face “${title}”? The photo is removed from the server.`))) return;
    try {
      await this.#api.deleteAvatar(avatar.name);
      this.#upload.hidden = true;
      await this.load(this.#chosen);
    } catch (error) {
      this.onError(error);
    }
  }

  #report(content) {
    this.#upload.replaceChildren(...content);
    this.#upload.hidden = false;
    this.#upload.scrollIntoView({ block: "nearest" });
  }

  #takeDrops() {
    const veil = document.getElementById("drop");
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    let depth = 0; // enter and leave come for every element on the way
    addEventListener("dragenter", (event) => hasFiles(event) && (veil.hidden = ++depth === 0));
    addEventListener("dragleave", (event) => hasFiles(event) && (veil.hidden = --depth <= 0));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      veil.hidden = true;
      depth = 0;
      if (event.dataTransfer.files.length) this.add(event.dataTransfer.files[0]);
    });
    addEventListener("paste", (event) => {
      const picture = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
      if (picture) this.add(picture);
    });
  }
}

/** The server's quality report as a list: what is good, what could be better. */
function notes(quality = []) {
  const line = ({ severity, message }) => element("li", { className: `note ${severity}` }, icon(severity), message);
  return element("ul", {}, ...quality.map(line));
}

function confirmed(question) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-text").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => (dialog.onclose = () => resolve(dialog.returnValue === "yes")));
}
