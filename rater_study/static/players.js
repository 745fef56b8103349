"use strict";
// Two players and perhaps the original, in step, over and over. Nothing on the page pauses them.

class Players {
  constructor(left, right, reference, canvases) {
    this.left = left;
    this.right = right;
    this.reference = reference;
    this.canvases = canvases;
    this.all = [];
    this.plays = 0;
    this.running = false;
    this.showing = false;
    this.urls = [];
    this.onplayed = () => {};
    this.round = 0;
    for (const video of [left, right, reference]) {
      video.addEventListener("ended", () => this.#ended());
      // A browser, an extension or a media key may pause; the study goes on.
      video.addEventListener("pause", () => { if (!video.ended) this.#resume(video); });
      video.addEventListener("ratechange", () => {
        if (Math.abs(video.playbackRate - 1) > 0.2) video.playbackRate = 1;
      });
    }
    document.addEventListener("visibilitychange", () => this.#visible());
    requestAnimationFrame(() => this.#tick());
  }

  // Fetch all videos whole, into memory: nothing can stall once they play.
  async load(sources, frame) {
    this.stop();
    this.frame = frame;
    this.plays = 0;
    this.driftSum = 0;
    this.driftCount = 0;
    this.all = [this.left, this.right];
    if (sources.reference) this.all.push(this.reference);
    const names = ["left", "right", "reference"].slice(0, this.all.length);
    const blobs = await Promise.all(names.map(async (name) => {
      const answer = await fetch(sources[name]);
      if (!answer.ok) throw new Error(`${answer.status}`);
      return answer.blob();
    }));
    this.urls = blobs.map((blob) => URL.createObjectURL(blob));
    await Promise.all(this.all.map((video, i) => new Promise((resolve, reject) => {
      video.oncanplaythrough = resolve;
      video.onerror = () => reject(new Error("this browser cannot play the videos"));
      video.src = this.urls[i];
      video.load();
    })));
  }

  async start() {
    this.running = true;
    this.started = performance.now();
    await this.#round();
  }

  stop() {
    this.running = false;
    this.round += 1;
    this.show(false);
    for (const video of this.all) video.pause();
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
  }

  show(on) {
    this.showing = on && this.all.length === 3;
    if (this.showing) this.#draw();
    document.body.classList.toggle("showing", this.showing);
  }

  // Mean difference of the two players' times in milliseconds, over all pictures drawn so far.
  get drift() {
    return this.driftCount ? 1000 * this.driftSum / this.driftCount : null;
  }

  async #round() {
    const mine = ++this.round;
    await Promise.all(this.all.map((video) => new Promise((resolve) => {
      video.playbackRate = 1;
      if (video.currentTime === 0 && !video.ended) { resolve(); return; }
      video.addEventListener("seeked", resolve, { once: true });
      video.currentTime = 0;
    })));
    if (mine !== this.round || !this.running || document.hidden) return;
    await Promise.all(this.all.map((video) => video.play().catch(() => {})));
  }

  #ended() {
    // `ended` of the last one counts as the play; a round cut short by a hidden tab never gets here.
    if (!this.running || !this.all.every((video) => video.ended)) return;
    this.plays += 1;
    this.onplayed();
    this.#round();
  }

  #resume(video) {
    if (this.running && !document.hidden) video.play().catch(() => {});
  }

  #visible() {
    if (!this.running) return;
    if (document.hidden) {
      this.round += 1;
      for (const video of this.all) video.pause();
    } else {
      // A pair that was not watched to its end starts anew.
      this.#round();
    }
  }

  #tick() {
    requestAnimationFrame(() => this.#tick());
    if (!this.running || document.hidden) return;
    if (this.showing) this.#draw();
    const [master, ...others] = this.all;
    if (master.paused || master.ended || master.seeking) return;
    for (const other of others) {
      if (other.paused || other.ended || other.seeking) continue;
      const behind = master.currentTime - other.currentTime;
      if (other === this.right) {
        this.driftSum += Math.abs(behind);
        this.driftCount += 1;
      }
      if (Math.abs(behind) > 0.3) other.currentTime = master.currentTime;
      else other.playbackRate = Math.abs(behind) < this.frame / 4 ? 1
        : 1 + Math.max(-0.1, Math.min(0.1, 2 * behind));
    }
  }

  #draw() {
    for (const canvas of this.canvases) {
      canvas.getContext("2d").drawImage(this.reference, 0, 0, canvas.width, canvas.height);
    }
  }
}
