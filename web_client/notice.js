// The one line of the page that says what is wrong, or what has just been done, with at most one thing to do about it.
// Touches its own elements. A repeated message only changes its text, so that a countdown is not read out every second.

const PASSING_MS = 4000;

export class Notice {
  #box = document.getElementById("notice");
  #text = document.getElementById("notice-text");
  #action = document.getElementById("notice-action");
  #timer;

  constructor() {
    document.getElementById("notice-close").onclick = () => this.hide();
  }

  /**
   * @param {string} text a sentence
   * @param {string|{passing: boolean}} [label] of the button; or {passing: true}: goes away by itself
   * @param {() => void} [onAction]
   */
  show(text, label, onAction) {
    clearTimeout(this.#timer);
    this.#text.ariaLive = /\d+ s\.$/.test(text) && !this.#box.hidden ? "off" : "assertive";
    this.#text.textContent = text;
    const isPassing = Boolean(label?.passing);
    this.#box.classList.toggle("passing", isPassing);
    this.#action.hidden = !onAction;
    if (onAction) {
      this.#action.textContent = label;
      this.#action.onclick = onAction;
    }
    this.#box.hidden = false;
    if (isPassing) this.#timer = setTimeout(() => this.hide(), PASSING_MS);
  }

  hide() {
    this.#box.hidden = true;
  }
}
