// The thresholds that the rules name: each with a slider as long as the window's customers need, and its number.
"use strict";

(() => {
  const rows = engage.segmentRows;
  const { part } = rows;
  const byId = (id) => document.getElementById(id);
  const shown = new Map(); // the element of each threshold, by its name
  let state = null;

  // The thresholds in use, each with the field that it is first compared with.
  function used() {
    const found = new Map();
    rows.cards().flatMap(rows.rowsOf).forEach((row) => {
      const name = part(row, "value").value;
      if (name.endsWith("_threshold") && !found.has(name)) found.set(name, rows.fieldOf(row));
    });
    return found;
  }

  const rounded = (number) => String(Number(number.toPrecision(6)));
  const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));

  function scale(element, field, name) {
    const value = Number(state.thresholds[name]) || 0;
    const range = element.querySelector("[type=range]");
    if (document.activeElement === range && range.max !== "100") return; // it would move below the pointer
    const least = field.unit === "percent" ? -100 : Math.min(0, 2 * value);
    const most = Math.max(field.reach, 2 * value, field.step);
    Object.assign(range, { min: rounded(least), max: rounded(most), step: String(field.step), value: String(value) });
    const unit = state.units[field.unit] ? ` ${state.units[field.unit]}` : "";
    part(element, "least").textContent = Number(range.min).toLocaleString("en-US");
    part(element, "most").textContent = Number(range.max).toLocaleString("en-US") + unit;
    const set = state.stored[name] ?? state.defaults[name];
    part(element, "now").textContent = set === undefined ? "not set yet" : `now set ${Number(set).toLocaleString("en-US")}`;
  }

  function make(name) {
    const element = byId("threshold-piece").content.firstElementChild.cloneNode(true);
    const [number, range, error] = [element.querySelector("input"), element.querySelector("[type=range]"), element.querySelector(".error")];
    element.dataset.threshold = name;
    Object.assign(number, { id: name, value: state.thresholds[name] ?? "" });
    Object.assign(element.querySelector("label"), { htmlFor: name, textContent: state.labels[name] || name });
    error.id = `${name}-error`;
    number.setAttribute("aria-describedby", error.id);
    range.setAttribute("aria-label", `${state.labels[name] || name}, as a slider`);
    return element;
  }

  function draw() {
    const wanted = used();
    [...shown.keys()].filter((name) => !wanted.has(name)).forEach((name) => shown.delete(name));
    wanted.forEach((field, name) => {
      if (!shown.has(name)) shown.set(name, make(name));
      scale(shown.get(name), field, name);
    });
    const place = byId("threshold-list");
    const elements = [...wanted.keys()].map((name) => shown.get(name));
    if (elements.length !== place.children.length || elements.some((one, at) => one !== place.children[at])) {
      place.replaceChildren(...elements);
    }
    if (!elements.length) place.textContent = "The rules name none.";
  }

  // A number field or a slider has changed.
  function edited(target) {
    const element = target.closest("[data-threshold]");
    const [number, range] = [element.querySelector("input"), element.querySelector("[type=range]")];
    if (target === range) number.value = range.value;
    else if (isNumber(number.value)) range.value = number.value;
    state.thresholds[element.dataset.threshold] = number.value.trim();
  }

  function add(name, value) {
    const words = name.replace(/_threshold$/, "").replaceAll("_", " ");
    state.labels[name] ??= `${words[0].toUpperCase()}${words.slice(1)} threshold`;
    state.thresholds[name] ??= value;
  }

  // As values by setting: those in use that are not as they are set.
  function changed() {
    const found = {};
    [...used().keys()].forEach((name) => {
      const [now, set] = [state.thresholds[name] ?? "", state.stored[name] ?? state.defaults[name]];
      const same = set !== undefined && (now === set || (isNumber(now) && isNumber(set) && Number(now) === Number(set)));
      if (!same) found[name] = now;
    });
    return found;
  }

  function showErrors(wrong) {
    shown.forEach((element, name) => {
      const error = element.querySelector(".error");
      const text = wrong[name] || "";
      if (error.textContent !== text) error.textContent = text;
      element.querySelector("input").toggleAttribute("aria-invalid", Boolean(text));
      if (text) element.querySelector("input").setAttribute("aria-invalid", "true");
    });
  }

  function reset(thresholds) {
    state.thresholds = { ...thresholds };
    shown.clear();
  }

  engage.segmentThresholds = { add, changed, draw, edited, reset, showErrors, start(given) { state = given; } };
})();
