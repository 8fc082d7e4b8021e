// Counts again when a threshold moves, by its fields or by its line in a chart, and fills the form that sets both.
"use strict";

(() => {
  const PAUSE_MS = 120; // a slider fires an event for every pixel
  let asking = new AbortController();
  let waiting = 0;
  let drawing = 0;
  let spread = null;

  const field = (name) => document.getElementById(name);
  const value = (name) => field(name).value;
  const button = () => document.querySelector("[data-opens=set]");

  // --- the counts

  function showWrong(wrong) {
    ["low", "high"].forEach((name) => {
      const text = wrong[name] || "";
      if (text) field(name).setAttribute("aria-invalid", "true");
      else field(name).removeAttribute("aria-invalid");
      if (field(`${name}-error`).textContent !== text) field(`${name}-error`).textContent = text;
    });
  }

  function show(page) {
    const wrong = [...page.querySelectorAll("#wrong [data-for]")];
    showWrong(Object.fromEntries(wrong.map((one) => [one.dataset.for, one.textContent])));
    if (wrong.length) return; // the results stay
    ["then", "counts"].forEach((id) => field(id).replaceChildren(...page.getElementById(id).childNodes));
    field("said").textContent = field("counts").querySelector(".sum").textContent;
    const { label, low, high, nothing } = field("set-to").dataset;
    if (button()) Object.assign(button(), { textContent: label, disabled: nothing !== undefined });
    nameLines(low, high);
    const query = new URLSearchParams(new FormData(field("what-if")));
    window.history.replaceState(null, "", `what-if?${query}`);
  }

  async function count() {
    asking.abort();
    asking = new AbortController();
    const query = new URLSearchParams(new FormData(field("what-if")));
    field("counts").setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`what-if-counts?by_field=true&${query}`, { signal: asking.signal });
      if (!answer.ok) throw new Error(`Airflow answered ${answer.status}.`);
      const text = await answer.text();
      if (!field("what-if")) return; // the user has left
      show(new DOMParser().parseFromString(text, "text/html"));
    } catch (error) {
      if (error.name === "AbortError") return;
      engage.toast(error instanceof TypeError ? "Airflow does not answer. Move a threshold to ask again." : error.message, { tone: "failed" });
    }
    field("counts").removeAttribute("aria-busy");
  }

  function later() {
    if (button()) button().disabled = true; // until the values are checked
    clearTimeout(waiting);
    waiting = setTimeout(count, PAUSE_MS);
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(colour);
  }

  // --- the charts

  const middle = ([from, to]) => (from + to) / 2;
  const figure = (name) => document.querySelector(`[data-drags=${name}]`);

  function parts(counts, spec) {
    return spec.bins.map((bin, n) => ({
      ...bin,
      parts: Object.entries(spread.tones).filter(([name]) => counts[name][n])
        .map(([name, tone]) => ({ name, tone, value: counts[name][n], text: counts[name][n].toLocaleString("en-US") })),
    }));
  }

  // As the server colours a bin: by its bucket, here of its middle.
  function colour() {
    const [low, high] = [Number(value("low")), Number(value("high"))];
    if (!spread || !value("low") || !value("high")) return;
    const none = (bins) => Object.fromEntries(Object.keys(spread.tones).map((name) => [name, bins.map(() => 0)]));
    const counts = { low: none(spread.spend), high: none(spread.sessions) };
    spread.cells.forEach(([spend, sessions, customers]) => {
      const rest = middle(spread.sessions[sessions]) > high ? "REWARD" : "NONE";
      const bucket = middle(spread.spend[spend]) < low ? "BOOST" : rest;
      counts.low[bucket][spend] += customers;
      counts.high[bucket][sessions] += customers;
    });
    [["low", low], ["high", high]].forEach(([name, at]) => {
      const spec = JSON.parse(figure(name).dataset.chart);
      const inView = at >= spec.x.least && at <= spec.x.most;
      const thresholds = inView ? { x: at, label: figure(name).dataset.label, handle: true } : {};
      const bins = parts(counts[name], spec);
      engage.changeChart(figure(name), { bins, thresholds });
      describe(figure(name), counts[name]);
    });
  }

  // What a screen reader says of a chart, and the table behind it, which has a row for each bin with customers.
  function describe(of, counts) {
    const words = `${of.dataset.title}. ${of.dataset.label}. The arrow keys move through it.`;
    of.querySelector(".plot").setAttribute("aria-label", words);
    const names = Object.keys(counts);
    const filled = counts[names[0]].map((_, n) => names.map((name) => counts[name][n])).filter((bin) => bin.some(Boolean));
    of.querySelectorAll("tbody tr").forEach((row, n) =>
      row.querySelectorAll("td").forEach((cell, at) => { cell.textContent = filled[n][at].toLocaleString("en-US"); }));
  }

  // The labels of the lines, as the server writes them.
  function nameLines(low, high) {
    figure("low").dataset.label = low;
    figure("high").dataset.label = high;
    colour();
  }

  function dragged({ target, detail }) {
    const name = target.dataset.drags;
    const slider = document.querySelector(`[data-for=${name}]`);
    slider.value = Math.max(0, detail); // which rounds to its step
    field(name).value = slider.value;
    target.dataset.label = "";
    later();
  }

  // --- the fields

  function pair(slider) {
    const number = field(slider.dataset.for);
    const moved = (from, to) => {
      to.value = from.value;
      figure(slider.dataset.for).dataset.label = "";
      later();
    };
    slider.addEventListener("input", () => moved(slider, number));
    number.addEventListener("input", () => moved(number, slider));
  }

  // Another campaign has other charts. Thresholds that are not its predecessor's own stay.
  function choose() {
    const query = new URLSearchParams(new FormData(field("what-if")));
    const same = ["low", "high"].every((name) => Number(value(name)) === Number(field(name).dataset.own));
    if (same) ["low", "high"].forEach((name) => query.delete(name));
    engage.go(`what-if?${query}`);
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
    spread = JSON.parse(field("spread-charts").dataset.spread);
    document.querySelectorAll("input[type=range]").forEach(pair);
    document.addEventListener("engage:dragged", dragged);
    field("window_start").addEventListener("change", choose);
    field("what-if").addEventListener("submit", (event) => {
      event.preventDefault();
      count();
    });
    field("copy").addEventListener("click", copy);
    button()?.addEventListener("click", () =>
      document.querySelectorAll("[data-from]").forEach((input) => { input.value = value(input.dataset.from); }));
    const { low, high } = field("set-to").dataset;
    nameLines(low, high);
  });
})();
