// The microphone: permission, the list of devices, the level, and what to say when there is none.
// Touches getUserMedia and Web Audio, never the page. A failure is a MicrophoneError whose message is a sentence.

const SENTENCES = {
  NotAllowedError:
    "The microphone is blocked for this page. Allow it in the browser's address bar and try again; typing works without it.",
  NotFoundError: "No microphone was found. Plug one in and try again; typing works without it.",
  NotReadableError: "The microphone is in use by another program. Close that and try again.",
  OverconstrainedError: "That microphone is not there any more. Choose another one.",
  insecure: "Browsers give the microphone only to pages on localhost or over HTTPS. Typing works without it.",
};

export class MicrophoneError extends Error {
  constructor(name) {
    super(SENTENCES[name] ?? "The microphone could not be opened. Try again or choose another one.");
    this.name = "MicrophoneError";
  }
}

/** Events: `devices` (the list changed), `lost` (unplugged or taken away). */
export class Microphone extends EventTarget {
  #stream = null;
  #context = null;
  #analyser = null;
  #samples = new Float32Array(1024);

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  /** The live track, or null. */
  get track() {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  /**
   * @param {{deviceId?: string, cleanUp: boolean}} options cleanUp: the browser removes echo and noise and evens the
   *   level out, which suits a laptop on a desk; a studio microphone with headphones is better left alone
   * @returns {Promise<MediaStreamTrack>}
   * @throws {MicrophoneError}
   */
  async open({ deviceId, cleanUp }) {
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("insecure");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          deviceId: deviceId ? { exact: deviceId } : undefined,
          echoCancellation: cleanUp,
          noiseSuppression: cleanUp,
          autoGainControl: cleanUp,
          channelCount: 1,
        },
      });
    } catch (error) {
      throw new MicrophoneError(error.name);
    }
    this.close();
    this.#stream = stream;
    this.track.addEventListener("ended", () => this.dispatchEvent(new Event("lost")));
    this.#listen(stream);
    this.dispatchEvent(new Event("devices")); // their names are known only now
    return this.track;
  }

  close() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#context?.close();
    this.#stream = this.#context = this.#analyser = null;
  }

  /** @returns {number} loudness now, 0 (-60 dB full scale or less) to 1 (0 dB) */
  level() {
    if (!this.#analyser || !this.track?.enabled) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-12)) / 60));
  }

  /** @returns {Promise<{id: string, label: string}[]>} empty until the microphone has been allowed once */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter((d) => d.kind === "audioinput" && d.label).map((d) => ({ id: d.deviceId, label: d.label }));
  }

  #listen(stream) {
    this.#context = new AudioContext();
    this.#analyser = new AnalyserNode(this.#context, { fftSize: 1024 });
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }
}
