// A face's motion drawn while it happens: curves over the last seconds, the shape of the mouth, all weights as bars.
// Touches the element that it is given. Frames come in by `push`; a frame that is missing leaves a gap.

import { element } from "./dom.js";

const SECONDS = 8;
const FPS = 25;
const KEPT = SECONDS * FPS;
const LABEL_PX = 30;
const DEGREES = 180 / Math.PI;

/** Curves by lane: what is drawn from the weights by name, and the range of its axis. */
const LANES = [
  { title: "Jaw", range: [0, 0.6], curves: { open: (w) => w.jawOpen } },
  {
    title: "Lips",
    range: [0, 1],
    curves: {
      shut: (w) => w.mouthClose,
      round: (w) => w.mouthPucker + w.mouthFunnel,
      wide: (w) => mean(w.mouthSmileLeft, w.mouthSmileRight) + mean(w.mouthStretchLeft, w.mouthStretchRight),
    },
  },
  { title: "Lids", range: [0, 1], curves: { left: (w) => w.eyeBlinkLeft, right: (w) => w.eyeBlinkRight } },
  {
    title: "Brows",
    range: [0, 0.6],
    curves: {
      inner: (w) => w.browInnerUp,
      outer: (w) => mean(w.browOuterUpLeft, w.browOuterUpRight),
      down: (w) => mean(w.browDownLeft, w.browDownRight),
    },
  },
  {
    title: "Gaze",
    range: [-0.6, 0.6],
    curves: {
      "to the left": (w) => mean(w.eyeLookOutLeft, w.eyeLookInRight) - mean(w.eyeLookInLeft, w.eyeLookOutRight),
      up: (w) => mean(w.eyeLookUpLeft, w.eyeLookUpRight) - mean(w.eyeLookDownLeft, w.eyeLookDownRight),
    },
  },
  {
    title: "Head",
    unit: "°",
    range: [-8, 8],
    curves: { turn: (w) => w.headYaw * DEGREES, nod: (w) => w.headPitch * DEGREES, tilt: (w) => w.headRoll * DEGREES },
  },
];

/** Shapes of the mouth in the order in which they are tried, by the visemes that look like them. */
const SHAPES = [
  ["PP", (w) => w.mouthClose > 0.9 && w.mouthPressLeft > 0.12],
  ["FF", (w) => w.mouthShrugLower > 0.18 && w.mouthUpperUpLeft > 0.25],
  ["TH", (w) => w.tongueOut > 0.14],
  ["U", (w) => w.mouthPucker > 0.25],
  ["CH", (w) => w.mouthFunnel > 0.14 && w.jawOpen < 0.1],
  ["O", (w) => w.mouthFunnel > 0.1],
  ["aa", (w) => w.jawOpen > 0.22],
  ["E", (w) => w.jawOpen > 0.08],
  ["SS", (w) => w.mouthLowerDownLeft > 0.05 || w.mouthStretchLeft > 0.06],
];

export class Curves {
  #names = [];
  #frames = []; // {index, weights by name, shape}, oldest first
  #lanes;
  #shapes;
  #bars;
  #queued = false;

  /** @param {HTMLElement} box @param {{bars?: HTMLElement, small?: boolean}} [options] bars: where all weights are shown */
  constructor(box, { bars, small = false } = {}) {
    box.classList.add("curves");
    box.classList.toggle("small", small);
    this.#lanes = LANES.map((lane) => new Lane(lane));
    this.#shapes = new ShapeRow();
    box.replaceChildren(this.#shapes.row, ...this.#lanes.map(({ row }) => row));
    this.#bars = bars;
    new ResizeObserver(() => this.#draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** @param {string[]} columns names of the values in each frame */
  begin(columns) {
    this.#names = columns;
    this.#frames = [];
    if (this.#bars) this.#fillBars();
    this.#draw();
  }

  /** @param {{index: number, values: number[]}} frame */
  push({ index, values }) {
    const weights = {};
    this.#names.forEach((name, i) => (weights[name] = values[i]));
    const shape = SHAPES.find(([, isIt]) => isIt(weights))?.[0] ?? "";
    this.#frames.push({ index, weights, shape });
    while (this.#frames[0].index <= index - KEPT) this.#frames.shift();
    if (!this.#queued) requestAnimationFrame(() => this.#draw());
    this.#queued = true;
  }

  #draw() {
    this.#queued = false;
    const latest = this.#frames.at(-1);
    this.#shapes.draw(this.#frames);
    for (const lane of this.#lanes) lane.draw(this.#frames);
    if (!latest || !this.#bars) return;
    for (const bar of this.#bars.children) {
      const value = latest.weights[bar.dataset.name];
      bar.style.setProperty("--at", Math.min(1, Math.max(0, value)).toFixed(3));
      bar.lastChild.textContent = value.toFixed(2);
    }
  }

  #fillBars() {
    const bar = (name) => {
      const made = element("li", {}, element("span", { title: name }, plain(name)), element("i"), element("output", {}, "0.00"));
      made.dataset.name = name;
      return made;
    };
    this.#bars.replaceChildren(...this.#names.filter((name) => !name.startsWith("head")).map(bar));
  }
}

class Lane {
  #range;
  #unit;
  #curves;
  #canvas = element("canvas");
  #outputs;

  constructor({ title, range, unit = "", curves }) {
    this.#range = range;
    this.#unit = unit;
    this.#curves = Object.values(curves);
    this.#outputs = this.#curves.map(() => element("output", {}, "–"));
    const keys = Object.keys(curves).map((name, i) => element("li", { className: `key-${i}` }, element("span", {}, name), this.#outputs[i]));
    this.#canvas.setAttribute("aria-hidden", "true");
    this.row = element("div", { className: "lane" }, element("h3", {}, title), element("ul", {}, ...keys), this.#canvas);
  }

  draw(frames) {
    const brush = fresh(this.#canvas);
    if (!brush) return;
    const { width, height, colour } = brush;
    const [low, high] = this.#range;
    const y = (value) => height - 3 - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (height - 6);
    grid(brush, frames, y(Math.max(0, low)));
    const last = frames.at(-1);
    this.#curves.forEach((value, i) => {
      brush.to.beginPath();
      frames.forEach(({ index, weights }, k) => {
        const point = [x(index, last, width), y(value(weights))];
        if (k && frames[k - 1].index === index - 1) brush.to.lineTo(...point);
        else brush.to.moveTo(...point);
      });
      brush.to.strokeStyle = colour(`--curve-${i}`);
      brush.to.lineWidth = 1.8;
      brush.to.lineJoin = "round";
      brush.to.stroke();
      const digits = this.#unit ? 1 : 2;
      this.#outputs[i].textContent = last ? number(value(last.weights), digits) + this.#unit : "–";
    });
  }
}

/** The shape of the mouth, a row for each. It is read off the weights: what is seen, not what was heard. */
class ShapeRow {
  #canvas = element("canvas");
  #now = element("output", {}, "–");

  constructor() {
    this.#canvas.setAttribute("aria-hidden", "true");
    const keys = element("ul", {}, element("li", {}, element("span", {}, "looks like"), this.#now));
    this.row = element("div", { className: "lane shapes" }, element("h3", {}, "Mouth"), keys, this.#canvas);
  }

  draw(frames) {
    const brush = fresh(this.#canvas);
    if (!brush) return;
    const { to, width, height, colour } = brush;
    const last = frames.at(-1);
    const step = (height - 6) / SHAPES.length;
    grid(brush, frames, height - 1);
    to.font = `600 ${Math.min(11, step)}px system-ui, sans-serif`;
    to.textBaseline = "middle";
    SHAPES.forEach(([name], row) => {
      to.fillStyle = colour("--curve-0");
      for (const { index, shape } of frames) {
        if (shape === name) to.fillRect(x(index - 1, last, width), 3 + row * step, width / KEPT + 0.5, step - 1);
      }
      to.clearRect(0, 3 + row * step, LABEL_PX, step);
      to.fillStyle = colour("--label");
      to.fillText(name, 6, 3 + (row + 0.5) * step);
    });
    this.#now.textContent = last ? last.shape || "rest" : "–";
  }
}

const number = (value, digits) => (Math.abs(value) < 0.5 / 10 ** digits ? 0 : value).toFixed(digits).replace("-", "−");
const mean = (a, b) => (a + b) / 2;
const x = (index, last, width) => width - ((last.index - index) / KEPT) * width;
const plain = (name) => name.replace(/([A-Z])/g, " $1").replace(/ (Left|Right)$/, (side) => (side === " Left" ? " L" : " R")).toLowerCase().replace(/ ([lr])$/, (_, side) => ` ${side.toUpperCase()}`);

/** A cleared canvas at the screen's own resolution; null while it is not shown. */
function fresh(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const to = canvas.getContext("2d");
  to.setTransform(ratio, 0, 0, ratio, 0, 0);
  to.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  return { to, width, height, colour: (name) => style.getPropertyValue(name) };
}

/** The zero line, and one for each second. */
function grid({ to, width, height, colour }, frames, zero) {
  to.strokeStyle = colour("--grid");
  to.lineWidth = 1;
  to.beginPath();
  to.moveTo(0, Math.round(zero) + 0.5);
  to.lineTo(width, Math.round(zero) + 0.5);
  const last = frames.at(-1);
  for (let back = last ? last.index % FPS : 0; back < KEPT; back += FPS) {
    const at = Math.round(width - (back / KEPT) * width) + 0.5;
    to.moveTo(at, 0);
    to.lineTo(at, height);
  }
  to.stroke();
}
