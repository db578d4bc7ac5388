// Forms are sent once, and the backstage is kept up to date. Every page works without.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  if ("sent" in form.dataset) {
    event.preventDefault();
    return;
  }
  mark(form, true);
  if ("stay" in form.dataset) {
    event.preventDefault();
    send(form, event.submitter);
  }
});

// A page that is shown again by "back" may send its forms again.
addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => mark(form, false)));

function mark(form, isBusy) {
  if (isBusy) form.dataset.sent = "";
  else delete form.dataset.sent;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", isBusy);
}

async function send(form, submitter) {
  const body = new FormData(form, submitter);
  await look(form.action, { method: "POST", body });
  mark(form, false);
  if (form.hidden) form.closest("article").querySelector("form:not([hidden]) button").focus();
}

const stage = document.querySelector("[data-look]");
let timer, known = {};

async function look(address = stage.dataset.look, options = {}) {
  clearTimeout(timer);
  let now = known;
  try {
    const answer = await fetch(address, { ...options, headers: { Accept: "application/json" } });
    if (answer.ok) now = await answer.json();
  } catch {
    // The server is away for a moment; the next look tells.
  }
  show(now);
  timer = setTimeout(look, now.burst_runs ? 150 : 1000);
}

function show(now) {
  for (const found of stage.querySelectorAll("[data-text]")) setText(found, String(now[found.dataset.text]));
  for (const found of stage.querySelectorAll("[data-value]")) found.value = now[found.dataset.value];
  for (const found of stage.querySelectorAll("[data-if]")) found.hidden = !now[found.dataset.if];
  const arrived = stage.querySelector("[data-arrived]");
  if (now.waits) arrived.hidden = true;
  else if (known.waits) arrived.hidden = false;
  if (known.here !== undefined && known.here !== now.here) refresh();
  known = now;
}

// What is the same is left alone, so that nobody is read it twice.
function setText(found, text) {
  if (found.textContent !== text) found.textContent = text;
}

async function refresh() {
  const answer = await fetch(location.pathname);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("#templates").replaceWith(page.querySelector("#templates"));
}

if (stage) look();
