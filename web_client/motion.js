// /motion/{id}: the curves of a face while it talks. `id` is a session to watch, or an avatar to open a session of.
// Touches its page. It keeps trying: a session that ends may be followed by another.

import "./avatar.js";
import { Api, sentenceOf } from "./api.js";
import { MouthpieceClient } from "./client.js";
import { Curves } from "./curves.js";
import { takeToken } from "./settings.js";

const AGAIN_MS = 3000;

const $ = (id) => document.getElementById(id);
const id = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop());
const api = new Api(undefined, takeToken());
const client = new MouthpieceClient({ api });
const avatar = $("avatar");
const curves = new Curves($("curves"), { bars: $("weights") });
let latest = null;
let missing = 0;
const aheadMs = []; // of the sound that is heard, lately

avatar.client = client;
client.wantMotion(true);
addEventListener("pagehide", () => client.disconnect());

const say = (text) => ($("status").textContent = text);

client.addEventListener("motion_header", ({ detail }) => {
  curves.begin(detail.columns);
  latest = null;
});
client.addEventListener("motion", ({ detail }) => {
  if (latest) missing += Math.max(0, detail.index - latest.index - 1);
  latest = detail;
  curves.push(detail);
  const heard = client.soundIndex();
  if (heard !== null) aheadMs.push((detail.index - heard) * 40);
  if (aheadMs.length > 50) aheadMs.shift();
});
client.addEventListener("hello", ({ detail }) => say(`Session ${detail.session} of ${detail.avatar}, ${detail.fps} frames a second`));
client.addEventListener("status", ({ detail: { status, error, seconds } }) => {
  if (status === "connecting") say("Connecting…");
  if (status === "waiting") say(`${error.message} Trying again in ${seconds} s.`);
});

setInterval(() => {
  if (!latest || document.hidden) return;
  $("index").textContent = latest.index;
  $("time").textContent = `${(latest.t_ms / 1000).toFixed(1)} s`;
  $("missing").textContent = missing;
  const mean = aheadMs.reduce((sum, ms) => sum + ms, 0) / aheadMs.length;
  $("ahead").textContent = aheadMs.length ? `${Math.round(mean)} ms`.replace("-", "−") : "–";
}, 250);

$("sound").onclick = () => {
  const isOn = avatar.toggleAttribute("muted");
  $("sound").ariaPressed = String(!isOn);
  avatar.unblock().catch(() => {});
};

async function show() {
  const isAvatar = (await api.avatars()).some(({ name }) => name === id);
  if (isAvatar) avatar.setAttribute("avatar", id);
  await (isAvatar ? client.connect({ avatar: id }) : client.watch(id));
}

function closed() {
  return new Promise((resolve) => {
    const check = () => client.status === "closed" && resolve();
    client.addEventListener("status", check);
    check();
  });
}

for (;;) {
  await show().then(closed, (error) => say(`${sentenceOf(error)} Trying again…`));
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
}
