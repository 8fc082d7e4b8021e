// For every page: Airflow's light or dark theme, links that leave its frame, and forms that change something.
"use strict";

const frame = window.parent === window ? null : window.parent.document;

function followTheme() {
  const root = frame.documentElement;
  const take = () => {
    document.documentElement.dataset.theme = root.classList.contains("dark") ? "dark" : "light";
  };
  take();
  new MutationObserver(take).observe(root, { attributes: true, attributeFilter: ["class"] });
}

// The sandbox forbids the frame to navigate the page around it. A link inside that page may.
function leave(event) {
  event.preventDefault();
  const link = frame.createElement("a");
  link.href = event.currentTarget.href;
  frame.body.append(link);
  link.click();
  link.remove();
}

async function post(form) {
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  const { detail, go } = await answer.json().catch(() => ({}));
  return { ok: answer.ok, go, text: typeof detail === "string" ? detail : `Airflow answered ${answer.status}.` };
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("[type=submit]");
  const output = form.querySelector("output");
  button.disabled = true;
  try {
    const answer = await post(form);
    output.textContent = answer.text;
    if (answer.ok && answer.go) window.location.assign(answer.go);
    if (answer.ok && "reload" in form.dataset) window.location.reload();
  } catch {
    output.textContent = "Airflow does not answer. Reload the page to see whether anything changed.";
  } finally {
    button.disabled = false;
  }
}

function wire() {
  if (frame) document.querySelectorAll("a[data-leave]").forEach((link) => link.addEventListener("click", leave));
  document.querySelectorAll("form[data-post]").forEach((form) => form.addEventListener("submit", submit));
  document.querySelectorAll("button[data-opens]").forEach((button) =>
    button.addEventListener("click", () => document.getElementById(button.dataset.opens).showModal()));
  document.querySelectorAll("button[data-closes]").forEach((button) =>
    button.addEventListener("click", () => button.closest("dialog").close()));
}

if (frame) followTheme();
document.addEventListener("DOMContentLoaded", wire);
