"use strict";
// One page for the practice pair, all pairs and the breaks. The server decides what comes next.

const base = document.body.dataset.base;
const byId = (id) => document.getElementById(id);
const canvases = [...document.querySelectorAll("canvas")];
const players = new Players(byId("left"), byId("right"), byId("reference"), canvases);
const MARGIN = { x: 48, y: 150 };
const RETRIES = 8;
let state = null;
let open = false; // whether a vote is taken now
let tooSmall = false;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function cover(text, action) {
  byId("cover").hidden = text === null;
  byId("notice").textContent = text ?? "";
  byId("go").hidden = !action;
  byId("go").onclick = action ?? null;
}

// {status, body}; a lost connection is tried again, as a vote counts only once anyway.
async function ask(path, body) {
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await fetch(base + path, body === undefined
        ? { headers: { Accept: "application/json" } }
        : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      if (answer.status === 429 || answer.status >= 500) throw new Error(`${answer.status}`);
      return { status: answer.status, body: await answer.json() };
    } catch (error) {
      if (tries >= RETRIES) throw error;
      cover("The connection is lost. Trying again…");
      await wait(Math.min(8000, 500 * 2 ** tries));
    }
  }
}

async function next(given) {
  try {
    state = given ?? (await ask("/state")).body;
    await show();
  } catch (error) {
    cover(`That did not work (${error.message}).`, () => next());
  }
}

async function show() {
  setOpen(false);
  players.stop();
  if (state.stage === "consent" || state.stage === "done") { location.replace(base); return; }
  if (state.stage === "break") { await rest(state.seconds); return; }
  cover("Loading…");
  layout();
  const practice = state.stage === "practice";
  byId("question").textContent = (practice ? "For practice: " : "")
    + (state.reference ? "which one is closer to the original?" : "which one looks better?");
  byId("hold").hidden = !state.reference;
  byId("choose-tie").hidden = !state.tie;
  byId("progress").max = practice ? 1 : state.total;
  byId("progress").value = practice ? 0 : state.slot;
  byId("count").textContent = practice ? "practice" : `${state.slot + 1} of ${state.total}`;
  const url = (side) => `${base}/v/${state.slot}/${side}`;
  const mine = state;
  await players.load({ left: url("left"), right: url("right"),
    reference: state.reference ? url("reference") : null }, state.frame);
  if (mine !== state) return;
  cover(tooSmall ? smallText() : null);
  await players.start();
}

function setOpen(on) {
  open = on;
  for (const side of ["left", "right", "tie"]) byId(`choose-${side}`).disabled = !on;
}

players.onplayed = () => { if (!open && !tooSmall && !sending) setOpen(true); };

let sending = false;
async function vote(choice) {
  if (!open || tooSmall || sending || document.hidden) return;
  sending = true;
  setOpen(false);
  players.show(false);
  try {
    if (state.stage === "practice") {
      const { body } = await ask("/practice", {});
      players.stop();
      cover("That was the practice pair. The real ones follow; each is asked in the same way.",
        () => next(body));
      return;
    }
    const { status, body } = await ask("/vote", {
      slot: state.slot, choice, ticket: state.ticket, plays: players.plays,
      shown_ms: Math.round(performance.now() - players.started), drift_ms: players.drift,
      window: `${innerWidth}x${innerHeight}@${devicePixelRatio.toFixed(2)}`,
    });
    // Anything but success: this pair has its vote already, or must be shown again.
    await next(status === 200 ? body : undefined);
  } catch {
    cover("The connection is lost.", () => next());
  } finally {
    sending = false;
  }
}

async function rest(seconds) {
  const until = performance.now() + 1000 * seconds;
  while (performance.now() < until) {
    const left = Math.ceil((until - performance.now()) / 1000);
    cover(`Time for a break. Look into the distance and move a little. ${left} s`);
    await wait(250);
  }
  cover("The break is over.", () => next());
}

function smallText() {
  const ratio = devicePixelRatio;
  return "This window is too small to show both videos in full. Please make it at least "
    + `${Math.ceil(2 * state.width / ratio + MARGIN.x)} by `
    + `${Math.ceil(state.height / ratio + MARGIN.y)} pixels, or choose full screen (F11) and a zoom of 100%.`;
}

// One video pixel on one screen pixel.
function layout() {
  if (!state?.width) return;
  const [width, height] = [state.width / devicePixelRatio, state.height / devicePixelRatio];
  for (const pane of document.querySelectorAll(".pane")) {
    pane.style.width = `${width}px`;
    pane.style.height = `${height}px`;
  }
  for (const canvas of canvases) {
    canvas.width = state.width;
    canvas.height = state.height;
  }
  const before = tooSmall;
  tooSmall = innerWidth < 2 * width + MARGIN.x || innerHeight < height + MARGIN.y;
  if (tooSmall) {
    setOpen(false);
    if (players.running) cover(smallText());
  } else if (before && players.running) {
    cover(null);
    if (players.plays > 0) setOpen(true);
  }
}

// Keys that pause or seek in browsers and media keyboards; space shows the original instead.
const BLOCKED = new Set([" ", "k", "K", "j", "J", "l", "L", "Pause", "MediaPlayPause", "MediaPlay",
  "MediaPause", "MediaStop", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"]);
const CHOICES = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" };

document.addEventListener("keydown", (event) => {
  if (!byId("cover").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (BLOCKED.has(event.key)) event.preventDefault();
  if (event.repeat) return;
  if (event.key === " ") players.show(true);
  const choice = CHOICES[event.key];
  if (choice && (choice !== "tie" || state.tie)) vote(choice);
}, true);
document.addEventListener("keyup", (event) => {
  if (event.key !== " " || !byId("cover").hidden) return;
  event.preventDefault();
  players.show(false);
}, true);
for (const side of ["left", "right", "tie"]) {
  byId(`choose-${side}`).addEventListener("click", () => vote(side));
}
byId("hold").addEventListener("pointerdown", () => players.show(true));
for (const name of ["pointerup", "pointerleave", "pointercancel"]) {
  byId("hold").addEventListener(name, () => players.show(false));
}
document.addEventListener("contextmenu", (event) => event.preventDefault());
window.addEventListener("blur", () => players.show(false));
window.addEventListener("resize", layout);
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
for (const action of ["play", "pause", "stop", "seekbackward", "seekforward", "seekto"]) {
  try { navigator.mediaSession?.setActionHandler(action, () => {}); } catch { /* not known here */ }
}
next();
