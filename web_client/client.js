// One avatar session in the browser: negotiates, keeps the connection alive, brings it back when it drops.
// Touches the network and WebRTC, never the page. Everything that happens is an event; connect() never gives up by
// itself unless the server says that asking again is pointless.
//
//   const client = new MouthpieceClient({ base: "https://host/" });
//   client.addEventListener("stream", ({ detail }) => (video.srcObject = detail.stream));
//   await client.connect({ avatar: "iris" });
//   await client.setMicrophone(track);      // or: await client.speak("Good morning.")

import { Api, ServerError } from "./api.js";

export { ServerError };

const PING_MS = 2000;
const PONG_TIMEOUT_MS = 6000;
const CONNECT_TIMEOUT_MS = 15000;
const DISCONNECTED_MS = 2500; // ICE says "disconnected" for a moment on every change of network
const GATHER_MS = 1500;
const SAMPLES_PER_CHUNK = 1920; // 40 ms at 48 kHz
const BACKOFF_S = [0.5, 1, 2, 4, 8, 10];

/**
 * Events (`detail`):
 *   status {status, error?, seconds?}   connecting | live | waiting (next try in `seconds`) | closed
 *   stream {stream}                     picture and sound; a new one after each reconnection
 *   round_trip {ms}
 *   and each message of the server under its type: hello, state, speech_started, speech_stopped, latency,
 *   interrupted, spoken, warning, error, style, motion_header, motion
 */
export class MouthpieceClient extends EventTarget {
  #api;
  #target = null; // {avatar, lookAheadMs} or {watch: session id}; null: not wanted
  #connection = null;
  #channel = null;
  #audio = null; // the transceiver that carries the microphone
  #microphone = null;
  #resumeToken = null;
  #motionWanted = false;
  #rtpOrigins = null; // timestamps of chunk 0, once motion is told
  #run = 0; // counts connect() calls, so that an outdated one notices
  #wake = () => {};

  constructor({ base, token, api } = {}) {
    super();
    this.#api = api ?? new Api(base, token);
    this.status = "closed";
    this.session = null;
    globalThis.addEventListener?.("online", () => this.#wake());
  }

  get api() {
    return this.#api;
  }

  static get isSupported() {
    return typeof RTCPeerConnection === "function";
  }

  /** Opens a session of its own, in place of the present one. Resolves when picture and sound flow, or when it is
   * disconnected before that. @throws {ServerError} where trying again is pointless */
  connect({ avatar, lookAheadMs } = {}) {
    return this.#begin({ avatar, lookAheadMs });
  }

  /** Watches somebody else's session. A microphone that is set before is sent: nobody hears it, but the face listens. */
  watch(session) {
    return this.#begin({ watch: session });
  }

  /** Ends the session. */
  async disconnect() {
    const former = this.#target && !this.#target.watch ? this.session : null;
    this.#target = this.session = this.#resumeToken = null;
    this.#run++;
    this.#wake();
    this.#drop();
    this.#setStatus("closed");
    if (former) await this.#api.closeSession(former).catch(() => {}); // gone already is as good
  }

  /** Tries again now instead of after the wait. */
  retryNow() {
    this.#wake();
  }

  /** @param {MediaStreamTrack|null} track the microphone from now on, without a new negotiation */
  async setMicrophone(track) {
    this.#microphone = track;
    await this.#audio?.sender.replaceTrack(track);
  }

  /** @throws {ServerError} */
  async speak(text, voice) {
    return this.#api.speak(this.#ownSession(), text, voice);
  }

  /** Hushes the avatar at once. @throws {ServerError} */
  async interrupt() {
    if (!this.#send({ type: "interrupt" })) await this.#api.interrupt(this.#ownSession());
  }

  /** @param {object} style any settings of a style (docs/web.md), and `avatar` to switch to @throws {ServerError} */
  async setStyle(style) {
    const inForce = await this.#api.style(this.#ownSession(), style);
    if (style.avatar && this.#target) this.#target.avatar = style.avatar;
    return inForce;
  }

  /** Asks for the face's motion as `motion` events, 25 a second, each when its picture leaves the server. */
  wantMotion(isWanted) {
    this.#motionWanted = isWanted;
    this.#send({ type: "motion", on: isWanted });
  }

  /** @param {number} level 0..1, how loudly the other side speaks now; say it again at least each second */
  tellListening(level) {
    this.#send({ type: "listening", level });
  }

  /** @returns {number|null} index (with its fraction) of the 40 ms of sound heard right now; `motion` has the same index */
  soundIndex() {
    const source = this.#audio?.receiver.getSynchronizationSources()[0];
    if (!source || !this.#rtpOrigins) return null;
    return ((source.rtpTimestamp - this.#rtpOrigins.audio) >>> 0) / SAMPLES_PER_CHUNK;
  }

  /** @returns {Promise<RTCStatsReport|null>} */
  async stats() {
    return this.#connection ? this.#connection.getStats() : null;
  }

  async #begin(target) {
    if (!MouthpieceClient.isSupported) {
      throw new ServerError("This browser cannot do WebRTC. Use a current Chrome, Edge, Firefox or Safari.");
    }
    const former = this.#target && !this.#target.watch ? this.session : null;
    this.#target = target;
    this.session = this.#resumeToken = null;
    const run = ++this.#run;
    this.#wake();
    this.#drop();
    // Its place may be the only one that the server has left.
    if (former) await this.#api.closeSession(former).catch(() => {});
    return new Promise((resolve, reject) => this.#keepAlive(run, resolve, reject));
  }

  async #keepAlive(run, onFirst, onRefused) {
    for (let failures = 0; run === this.#run; ) {
      let error = new ServerError("The connection was lost.");
      try {
        this.#setStatus("connecting");
        const lost = await this.#open(run);
        if (!lost) break;
        failures = 0;
        this.#setStatus("live");
        onFirst();
        await lost();
      } catch (thrown) {
        if (!(thrown instanceof ServerError)) console.error(thrown);
        error = thrown instanceof ServerError ? thrown : new ServerError("The connection could not be made.");
      }
      if (run !== this.#run) break;
      this.#drop();
      if (!error.passes) {
        this.#target = this.session = null;
        this.#setStatus("closed", { error });
        return onRefused(error);
      }
      await this.#pause(run, error.retryAfterS ?? BACKOFF_S[Math.min(failures++, BACKOFF_S.length - 1)], error);
    }
    onFirst();
  }

  /** Counts down; ends early when the network comes back or somebody asks. */
  async #pause(run, seconds, error) {
    const end = performance.now() + seconds * 1000 * (0.9 + 0.2 * Math.random());
    let awake = false;
    while (run === this.#run && !awake && performance.now() < end) {
      this.#setStatus("waiting", { seconds: Math.ceil((end - performance.now()) / 1000), error });
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(1000, end - performance.now()));
        this.#wake = () => {
          awake = true;
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = () => {};
  }

  /** Negotiates one connection. Resolves, once it is up, with a call that waits until it is lost (and then throws);
   * with nothing if nobody wants it any more. */
  async #open(run) {
    const iceServers = await this.#api.iceServers().catch((error) => {
      if (error.status === 404) return [];
      throw error;
    });
    if (run !== this.#run) return;
    const connection = (this.#connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" }));
    const own = !this.#target.watch;
    this.#audio = connection.addTransceiver("audio", { direction: own || this.#microphone ? "sendrecv" : "recvonly" });
    connection.addTransceiver("video", { direction: "recvonly" });
    this.#channel = connection.createDataChannel("events");
    if (this.#microphone) await this.#audio.sender.replaceTrack(this.#microphone);

    const stream = new MediaStream();
    connection.ontrack = ({ track, receiver }) => {
      // The picture is due now: no buffer beyond what the network needs.
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      else if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
      stream.addTrack(track);
    };
    const { up, lost } = this.#watchOver(connection, this.#channel);

    await connection.setLocalDescription();
    await gathered(connection, iceServers.length ? GATHER_MS : GATHER_MS / 3);
    const answer = await this.#exchange(connection.localDescription.sdp);
    if (run !== this.#run) return;
    await connection.setRemoteDescription({ type: "answer", sdp: answer });
    this.#emit("stream", { stream });
    await Promise.race([up, lost]);
    return run === this.#run ? () => lost : undefined;
  }

  async #exchange(sdp) {
    const { watch, avatar, lookAheadMs } = this.#target;
    if (watch) return this.#api.viewSession(watch, sdp);
    const body = { sdp, avatar, look_ahead_ms: lookAheadMs };
    let answer;
    try {
      answer = await this.#api.openSession(this.#resumeToken ? { ...body, resume_token: this.#resumeToken } : body);
    } catch (error) {
      if (!this.#resumeToken || error.passes) throw error;
      this.#resumeToken = null; // the old session is over; begin a new one
      answer = await this.#api.openSession(body);
    }
    this.session = answer.id;
    this.#resumeToken = answer.resume_token ?? null;
    return answer.sdp;
  }

  #watchOver(connection, channel) {
    let pongAt, isUp, isLost, doubt;
    const up = new Promise((resolve) => (isUp = resolve));
    const lost = new Promise((_, reject) => {
      isLost = (why) => reject(new ServerError(why));
    });
    lost.catch(() => {}); // it may well fail while nobody waits for it
    const timer = setTimeout(() => isLost("The connection could not be made. A firewall may be in the way."), CONNECT_TIMEOUT_MS);
    connection.onconnectionstatechange = () => {
      const state = connection.connectionState;
      clearTimeout(doubt);
      if (state === "connected") {
        clearTimeout(timer);
        isUp();
      } else if (state === "disconnected") {
        doubt = setTimeout(() => isLost("The connection was lost."), DISCONNECTED_MS);
      } else if (state === "failed") {
        isLost("The connection was lost.");
      }
    };
    channel.onopen = () => {
      pongAt = performance.now();
      if (this.#motionWanted) this.wantMotion(true);
      const pings = setInterval(() => {
        if (channel.readyState !== "open") clearInterval(pings);
        else if (performance.now() - pongAt > PONG_TIMEOUT_MS) isLost("The server fell silent.");
        else channel.send(JSON.stringify({ type: "ping", t: performance.now() }));
      }, PING_MS);
    };
    channel.onclose = () => isLost("The server ended the connection.");
    channel.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "pong") {
        pongAt = performance.now();
        this.#emit("round_trip", { ms: pongAt - message.t });
        return;
      }
      if (message.type === "motion_header") this.#rtpOrigins = message.rtp;
      this.#emit(message.type, message);
    };
    return { up, lost };
  }

  #drop() {
    if (this.#channel) this.#channel.onclose = this.#channel.onmessage = null;
    if (this.#connection) {
      this.#connection.onconnectionstatechange = null;
      this.#connection.close();
    }
    this.#connection = this.#channel = this.#audio = this.#rtpOrigins = null;
  }

  #send(message) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  #ownSession() {
    if (!this.session) throw new ServerError("There is no session yet. Connect first.");
    return this.session;
  }

  #setStatus(status, detail = {}) {
    this.status = status;
    this.#emit("status", { status, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Waits until all candidates are known, because the offer is sent once and whole. */
function gathered(connection, atMostMs) {
  if (connection.iceGatheringState === "complete") return undefined;
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, atMostMs);
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
  });
}
