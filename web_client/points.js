// Where the face is, said by hand: five handles over a photo in which the program finds no face.
// Touches one dialog of the page. `placed(file)` resolves to the points, or to null if they are not wanted.

import { element } from "./dom.js";

/** Name, label, and where a handle begins (0..1 of the photo's width and height). Left is the picture's left. */
const HANDLES = [
  ["left_eye", "Left eye", 0.4, 0.4],
  ["right_eye", "Right eye", 0.6, 0.4],
  ["left_mouth_corner", "Left corner of the mouth", 0.44, 0.58],
  ["right_mouth_corner", "Right corner of the mouth", 0.56, 0.58],
  ["chin", "Chin", 0.5, 0.7],
];
const STEP = 0.004;
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

/**
 * Asks where the face is.
 * @param {File} file the photo, upright
 * @returns {Promise<Record<string, [number, number]> | null>}
 */
export async function placed(file) {
  const dialog = document.getElementById("points");
  const board = dialog.querySelector(".board");
  const url = URL.createObjectURL(file);
  const photo = element("img", { src: url, alt: "Your photo", draggable: false });
  const handles = HANDLES.map(([name, label, x, y]) => handle(board, name, label, x, y));
  board.replaceChildren(photo, ...handles.map(({ node }) => node));
  try {
    await photo.decode();
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => (dialog.onclose = resolve));
    return dialog.returnValue === "use" ? Object.fromEntries(handles.map(({ name, at }) => [name, at()])) : null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A handle that is dragged with the pointer or moved with the arrow keys (with Shift: five times as far). */
function handle(board, name, label, x, y) {
  const node = element("button", { type: "button", className: "handle", title: label, ariaLabel: label });
  const move = (newX, newY) => {
    [x, y] = [newX, newY].map((value) => Math.min(1, Math.max(0, value)));
    node.style.left = `${100 * x}%`;
    node.style.top = `${100 * y}%`;
  };
  node.onpointerdown = (event) => {
    event.preventDefault();
    node.focus();
    node.setPointerCapture(event.pointerId);
  };
  node.onpointermove = (event) => {
    if (!node.hasPointerCapture(event.pointerId)) return;
    const box = board.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  node.onkeydown = (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const far = event.shiftKey ? 5 : 1;
    move(x + far * arrow[0], y + far * arrow[1]);
  };
  move(x, y);
  return { name, node, at: () => [x, y] };
}
