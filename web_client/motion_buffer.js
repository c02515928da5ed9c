// The face's motion in step with the sound: what belongs to the instant that is heard now, for a 3D avatar.
// Touches nothing; follows one client's events.
//
//   const motion = new MotionBuffer(client);
//   requestAnimationFrame(function draw() { const pose = motion.now(); … requestAnimationFrame(draw); });

const KEPT = 50; // two seconds
const PATIENCE = 12; // chunks that the sound may be away from all frames before the newest is shown instead

export class MotionBuffer {
  #client;
  #frames = []; // {index, values}, oldest first
  /** Names of the values, in order; empty before the first frame. @type {string[]} */
  names = [];

  /** @param {import("./client.js").MouthpieceClient} client */
  constructor(client) {
    this.#client = client;
    client.addEventListener("motion_header", ({ detail }) => {
      this.names = detail.columns;
      this.#frames = [];
    });
    client.addEventListener("motion", ({ detail }) => {
      this.#frames.push(detail);
      if (this.#frames.length > KEPT) this.#frames.shift();
    });
    client.wantMotion(true);
  }

  /** The values for the sound heard now, blended between the two frames around it; null before the first frame. */
  now() {
    const newest = this.#frames.at(-1);
    if (!newest) return null;
    const at = this.#client.soundIndex();
    if (at === null || Math.abs(at - newest.index) > PATIENCE) return newest.values;
    const after = this.#frames.find(({ index }) => index > at);
    const before = this.#frames.findLast(({ index }) => index <= at);
    if (!after || !before) return (after ?? before).values;
    const share = (at - before.index) / (after.index - before.index);
    return before.values.map((value, i) => value + share * (after.values[i] - value));
  }
}
