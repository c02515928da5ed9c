// The page: wires the face, the gallery, the microphone, the text line and the settings to one client.
// Touches index.html's elements by id; the modules that it wires do not know each other.
// What the page shows follows from the client's status, `state.listening` and `state.lines`: see draw().

import "./avatar.js";
import { Api, sentenceOf } from "./api.js";
import { MouthpieceClient } from "./client.js";
import { Curves } from "./curves.js";
import { element } from "./dom.js";
import { FilmPanel } from "./film.js";
import { Gallery } from "./gallery.js";
import { LatencyPanel } from "./latency.js";
import { Manner } from "./manner.js";
import { Microphone, MicrophoneError } from "./microphone.js";
import { Notice } from "./notice.js";
import * as settingsStore from "./settings.js";
import { Stage } from "./stage.js";
import { fillVoices } from "./voices.js";

const FIRST_LINE = "Hello! I was a photo a moment ago. [happy] Now you can give me a voice.";

const $ = (id) => document.getElementById(id);

const settings = settingsStore.load();
const api = new Api(undefined, settingsStore.takeToken());
const client = new MouthpieceClient({ api });
const microphone = new Microphone();
const notice = new Notice();
const stage = new Stage(client, notice);
const state = {
  listening: false, // the microphone drives the face
  muted: false,
  lines: 0, // typed lines that have not been spoken to the end
};
new LatencyPanel(client);
const manner = new Manner({ api, client, settings, remember, onError: tell });

const film = new FilmPanel({
  api,
  wishes: () => ({ avatar: settings.avatar, style: manner.style, text: $("text").value.trim(), voice: settings.voice }),
});
const gallery = new Gallery({ api, onChoose: choose, onError: tell });

function tell(error) {
  notice.show(error instanceof MicrophoneError ? error.message : sentenceOf(error));
}

function remember(change) {
  Object.assign(settings, change);
  settingsStore.save(settings);
}

// ---- the session -------------------------------------------------------------------------------------------------

async function connect() {
  await client.connect({ avatar: settings.avatar || undefined, lookAheadMs: settings.lookAheadMs });
}

async function talk() {
  $("talk").disabled = true;
  try {
    await openMicrophone();
    state.listening = true;
    draw();
    if (client.status === "closed") await connect();
  } catch (error) {
    if (client.status === "closed") hangUp();
    tell(error);
  } finally {
    $("talk").disabled = false;
  }
}

async function openMicrophone() {
  const { deviceId, cleanUp } = { deviceId: $("device").value, cleanUp: settings.cleanUp };
  const track = await microphone.open({ deviceId, cleanUp });
  track.enabled = !state.muted;
  await client.setMicrophone(track);
}

function hangUp() {
  client.disconnect();
  client.setMicrophone(null);
  microphone.close();
  Object.assign(state, { listening: false, muted: false, lines: 0 });
  draw();
}

async function sayLine() {
  const text = $("text").value.trim();
  if (!text) return;
  $("speak").disabled = true;
  state.lines++;
  draw(); // opens the ears before the first word
  try {
    if (client.status === "closed") await connect();
    if (!client.session) return; // ended while it was connecting
    await client.speak(text, settings.voice);
    remember({ hasSpoken: true });
    $("text").value = "";
    fitText();
    film.draw();
  } catch (error) {
    state.lines = Math.max(0, state.lines - 1);
    tell(error);
  } finally {
    $("speak").disabled = !$("text").value.trim();
    draw();
  }
}

async function choose(avatar) {
  remember({ avatar: avatar.name });
  stage.showAvatar(avatar);
  manner.setAvatar(avatar);
  if (client.session) await client.setStyle({ avatar: avatar.name }).catch(tell);
}

client.addEventListener("status", ({ detail: { status, error, seconds } }) => {
  if (status === "waiting") {
    const actions = error.code === "busy" ? ["Stop waiting", hangUp] : ["Try now", () => client.retryNow()];
    notice.show(`${error.message} Trying again in ${seconds} s.`, ...actions);
  } else if (status === "live") notice.hide();
  if (status === "waiting" || status === "closed") state.lines = 0; // nobody will tell how they ended
  draw();
});
const lineEnded = () => {
  state.lines = Math.max(0, state.lines - 1);
  draw();
};
client.addEventListener("spoken", lineEnded);
client.addEventListener("interrupted", () => {
  state.lines = 0;
  draw();
});
client.addEventListener("error", ({ detail }) => {
  lineEnded();
  notice.show(detail.message);
});
client.addEventListener("warning", ({ detail }) => notice.show(detail.message));
microphone.addEventListener("lost", () => {
  client.setMicrophone(null);
  microphone.close();
  state.listening = false;
  draw();
  notice.show("The microphone is gone. Plug it in or choose another one, then start again.");
});

// ---- what it looks like -------------------------------------------------------------------------------------------

function draw() {
  const isOpen = client.status !== "closed";
  $("talk").hidden = state.listening;
  for (const id of ["mute", "hear"]) $(id).hidden = !state.listening;
  for (const id of ["interrupt", "end"]) $(id).hidden = !isOpen;
  $("mute").ariaPressed = String(state.muted);
  $("mute").querySelector("use").setAttribute("href", state.muted ? "#i-mic-off" : "#i-mic");
  $("mute").querySelector("span").textContent = state.muted ? "Unmute" : "Mute";
  $("hear").ariaPressed = String(settings.hearYourself);
  $("obs").hidden = $("motion-link").hidden = !client.session;
  if (client.session) $("motion-link").href = api.url(`motion/${client.session}`);
  $("motion-hint").hidden = isOpen;
  // One's own voice, late and from the loudspeaker, is unbearable; a typed line is there to be heard.
  stage.setMuted(state.listening && !settings.hearYourself && state.lines === 0);
}

function drawLevel() {
  const level = state.muted ? 0 : microphone.level();
  $("mute").style.setProperty("--level", level.toFixed(3));
  $("mute").querySelector(".meter").ariaValueNow = Math.round(level * 100);
}
setInterval(() => state.listening && requestAnimationFrame(drawLevel), 50);

function fitText() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

// ---- the controls -------------------------------------------------------------------------------------------------

$("talk").onclick = talk;
$("end").onclick = hangUp;
$("interrupt").onclick = () => client.interrupt().catch(tell);
$("mute").onclick = () => {
  state.muted = !state.muted;
  if (microphone.track) microphone.track.enabled = !state.muted;
  draw();
};
$("hear").onclick = () => {
  remember({ hearYourself: !settings.hearYourself });
  draw();
};
$("obs").onclick = async () => {
  const token = api.token ? `#token=${encodeURIComponent(api.token)}` : "";
  const link = api.url(`view/${client.session}`) + token;
  await navigator.clipboard?.writeText(link).then(
    () => notice.show("The link is copied. Add it to OBS as a Browser Source.", { passing: true }),
    () => notice.show(`Copy this into OBS as a Browser Source: ${link}`),
  );
};
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && client.session && !document.querySelector("dialog[open]")) client.interrupt().catch(tell);
});
addEventListener("pagehide", () => client.disconnect());

$("line").onsubmit = (event) => {
  event.preventDefault();
  sayLine();
};
$("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!$("speak").disabled) sayLine();
};
$("text").oninput = () => {
  $("speak").disabled = !$("text").value.trim();
  fitText();
  film.draw();
};
$("voice").onchange = () => remember({ voice: $("voice").value });

const reopen = () => state.listening && openMicrophone().catch(tell);
$("device").onchange = reopen;
$("clean").checked = settings.cleanUp;
$("clean").onchange = () => {
  remember({ cleanUp: $("clean").checked });
  reopen();
};
microphone.addEventListener("devices", async () => {
  const chosen = $("device").value || microphone.track?.getSettings().deviceId;
  const options = (await microphone.devices()).map(({ id, label }) => element("option", { value: id }, label));
  if (options.length) $("device").replaceChildren(...options);
  if (options.some(({ value }) => value === chosen)) $("device").value = chosen;
});

for (const choice of document.querySelectorAll("#ahead input")) {
  choice.checked = Number(choice.value) === settings.lookAheadMs;
  choice.onchange = () => {
    remember({ lookAheadMs: Number(choice.value) });
    if (client.status !== "closed") connect().catch(tell); // a session keeps its look-ahead; this is a new one
  };
}

// ---- marks in the line ----------------------------------------------------------------------------------------------

const MARKS = ["happy", "sad", "surprised", "serious", "neutral", "pause 300", "look left", "look viewer"];
$("marks-row").append(...MARKS.map((mark) => element("button", { type: "button", className: "mark", onclick: () => insert(`[${mark}] `) }, `[${mark}]`)));
$("marks").onclick = () => {
  $("marks-row").hidden = !$("marks-row").hidden;
  $("marks").ariaExpanded = String(!$("marks-row").hidden);
};
function insert(mark) {
  const text = $("text");
  text.setRangeText(mark, text.selectionStart, text.selectionEnd, "end");
  text.focus();
  text.oninput();
}

// ---- the motion panel -----------------------------------------------------------------------------------------------

const curves = new Curves($("curves"), { small: true });
$("motion").ontoggle = () => client.wantMotion($("motion").open);
client.addEventListener("motion_header", ({ detail }) => curves.begin(detail.columns));
client.addEventListener("motion", ({ detail }) => curves.push(detail));

// ---- the start ----------------------------------------------------------------------------------------------------

draw();
if (!settings.hasSpoken) {
  $("text").value = FIRST_LINE;
  $("text").oninput();
}
if (!MouthpieceClient.isSupported) {
  notice.show("This browser cannot do WebRTC. Use a current Chrome, Edge, Firefox or Safari.");
  for (const id of ["talk", "text"]) $(id).disabled = true;
}
gallery.load(settings.avatar).catch(tell);
fillVoices($("voice"), api, settings.voice).catch(tell);
microphone.dispatchEvent(new Event("devices"));
