// /view/{id}: the picture alone, for OBS's Browser Source. `id` is a session to watch, or an avatar to open a session of.
// Touches the whole (empty) page. It never gives up and never says anything: a broadcast must not show a message.
// `?cover` fills the window instead of fitting into it, `?black` paints what is left black, `?muted` keeps it silent.

import "./avatar.js";
import { takeToken } from "./settings.js";
import { Api } from "./api.js";
import { MouthpieceClient } from "./client.js";

const AGAIN_MS = 3000;

const id = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop());
const wishes = new URLSearchParams(location.search);
const api = new Api(undefined, takeToken());
const client = new MouthpieceClient({ api });
const avatar = document.getElementById("avatar");

for (const name of ["cover", "black"]) document.documentElement.classList.toggle(name, wishes.has(name));
avatar.client = client;
avatar.toggleAttribute("muted", wishes.has("muted"));
addEventListener("click", () => avatar.unblock().catch(() => {}));
addEventListener("pagehide", () => client.disconnect());

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

// show() ends when it is pointless to ask again at once; a session or a server may come back all the same.
for (;;) {
  await show().then(closed, () => {});
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
}
