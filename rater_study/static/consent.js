"use strict";
const base = document.body.dataset.base;
const agree = document.getElementById("agree");
const begin = document.getElementById("begin");

agree.addEventListener("change", () => { begin.disabled = !agree.checked; });
document.getElementById("consent").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!agree.checked) return;
  begin.disabled = true;
  try {
    const answer = await fetch(`${base}/consent`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: document.getElementById("name").value }),
    });
    if (!answer.ok) throw new Error(answer.status);
    location.replace(base);
  } catch {
    document.getElementById("problem").textContent = "That did not go through. Please try again.";
    begin.disabled = false;
  }
});
// The back button would bring back a stale page from the browser's memory.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
