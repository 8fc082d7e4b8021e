// Counts again when a threshold moves, copies the values, and fills the form that sets them.
"use strict";

const PAUSE_MS = 120; // a slider fires an event for every pixel
let asking = new AbortController();
let waiting = 0;

const field = (name) => document.getElementById(name);
const value = (name) => field(name).value;

async function count() {
  asking.abort();
  asking = new AbortController();
  const query = new URLSearchParams(new FormData(field("what-if")));
  const counts = field("counts");
  counts.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`what-if-counts?${query}`, { signal: asking.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const alert = page.querySelector("[role=alert]");
    counts.replaceChildren(...(answer.ok ? page.body.childNodes : [alert || `Airflow answered ${answer.status}.`]));
    counts.removeAttribute("aria-busy");
    field("said").textContent = counts.querySelector(".sum, [role=alert]")?.textContent || "";
  } catch (error) {
    if (error.name !== "AbortError") counts.replaceChildren("Airflow does not answer. Move a threshold to ask again.");
  }
}

function later() {
  clearTimeout(waiting);
  waiting = setTimeout(count, PAUSE_MS);
}

function pair(slider) {
  const number = field(slider.dataset.for);
  slider.addEventListener("input", () => {
    number.value = slider.value;
    later();
  });
  number.addEventListener("input", () => {
    slider.value = number.value;
    later();
  });
}

function copyText(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy"); // navigator.clipboard exists only with TLS
  area.remove();
  return done;
}

function copy() {
  const text = `engage_low_spend_threshold = ${value("low")}\nengage_high_activity_threshold = ${value("high")}`;
  field("copied").textContent = copyText(text) ? "Copied." : "The browser does not allow a page to copy.";
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("input[type=range]").forEach(pair);
  field("window_start").addEventListener("change", count);
  field("what-if").addEventListener("submit", (event) => {
    event.preventDefault();
    count();
  });
  field("copy").addEventListener("click", copy);
  document.querySelectorAll("[data-opens=set]").forEach((button) =>
    button.addEventListener("click", () =>
      document.querySelectorAll("[data-from]").forEach((input) => { input.value = value(input.dataset.from); })));
});
