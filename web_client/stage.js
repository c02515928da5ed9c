// The picture and what lies on it: state, sound that the browser holds back, full screen, picture-in-picture.
// Touches its part of the page; follows the client's events.

const WORDS = { idle: "Ready", listening: "Listening", speaking: "Speaking" };

export class Stage {
  #avatar = document.getElementById("avatar");
  #frame = document.getElementById("frame");
  #word = document.getElementById("state");
  #unblock = document.getElementById("unblock");
  #pip = document.getElementById("pip");
  #isLive = false;

  /**
   * @param {import("./client.js").MouthpieceClient} client
   * @param {import("./notice.js").Notice} notice
   */
  constructor(client, notice) {
    this.#avatar.client = client;
    client.addEventListener("status", ({ detail }) => this.#onStatus(detail.status));
    client.addEventListener("state", ({ detail }) => this.#isLive && this.#say(detail.state, WORDS[detail.state]));
    this.#avatar.addEventListener("soundblocked", () => (this.#unblock.hidden = false));
    this.#unblock.onclick = () => {
      this.#unblock.hidden = true;
      this.#avatar.unblock();
    };
    this.#offerFullScreen();
    this.#offerPictureInPicture(notice);
    this.#say("off", "Ready");
  }

  showAvatar({ name, title, width, height }) {
    this.#avatar.setAttribute("avatar", name);
    this.#avatar.ariaLabel = title || name;
    if (width && height) {
      this.#avatar.style.aspectRatio = `${width} / ${height}`;
      this.#frame.style.setProperty("--ratio", width / height);
    }
  }

  setMuted(isMuted) {
    this.#avatar.toggleAttribute("muted", isMuted);
  }

  #onStatus(status) {
    this.#isLive = status === "live";
    this.#pip.hidden = !this.#isLive || !document.pictureInPictureEnabled;
    if (status === "live") this.#say("idle", WORDS.idle);
    else if (status === "connecting") this.#say("connecting", "Connecting…");
    else if (status === "waiting") this.#say("waiting", "Waiting…");
    else this.#say("off", "Ready");
    if (status === "closed") this.#unblock.hidden = true;
  }

  #say(state, word) {
    this.#frame.dataset.state = state;
    this.#word.textContent = word;
  }

  #offerFullScreen() {
    const button = document.getElementById("full");
    const { video } = this.#avatar;
    // An iPhone shows only a video in full, and only once it plays.
    if (this.#frame.requestFullscreen) {
      button.onclick = () => (document.fullscreenElement ? document.exitFullscreen() : this.#frame.requestFullscreen());
    } else if (video.webkitEnterFullscreen) button.onclick = () => video.webkitEnterFullscreen();
    else button.hidden = true;
  }

  #offerPictureInPicture(notice) {
    const { video } = this.#avatar;
    this.#pip.onclick = async () => {
      try {
        await (document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture());
      } catch {
        notice.show("This browser does not show the picture outside of its page just now. Try again in a moment.");
      }
    };
  }
}
