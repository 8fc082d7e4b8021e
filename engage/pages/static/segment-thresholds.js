// The thresholds that the rules name: each with a slider as long as the window's customers need, and its number.
"use strict";

(() => {
  const rows = engage.segmentRows;
  const shares = engage.segmentShares;
  const { part } = rows;
  const byId = (id) => document.getElementById(id);
  const made = new Map(); // the element of each threshold, by its name
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
  const kindOf = (element) => part(element, "kind");
  const fieldsOf = (element) => [element.querySelector("input"), element.querySelector("[type=range]")];

  // Whether two texts set a threshold alike.
  function alike(one, other) {
    const [now, then] = [shares.split(one), shares.split(other)];
    const same = now.amount === then.amount || (isNumber(now.amount) && isNumber(then.amount) && Number(now.amount) === Number(then.amount));
    return now.kind === then.kind && same;
  }

  const shown = (text) => (isNumber(text) ? Number(text).toLocaleString("en-US") : text);

  // Where a slider begins and ends, its step, and its unit.
  function reachOf(kind, field, value) {
    if (shares.isPercent(kind)) return { least: 1, most: 100, step: 1, unit: "%" };
    if (kind) {
      const step = 10 ** Math.max(0, Math.floor(Math.log10(state.customers / 200)));
      return { least: step, most: Math.max(step, state.customers), step, unit: " customers" };
    }
    const least = field.unit === "percent" ? -100 : Math.min(0, 2 * value);
    const unit = state.units[field.unit] ? ` ${state.units[field.unit]}` : "";
    return { least, most: Math.max(field.reach, 2 * value, field.step), step: field.step, unit };
  }

  function scale(element, field, name) {
    const { kind, amount } = shares.split(state.thresholds[name] ?? "");
    const [, range] = fieldsOf(element);
    const value = Number(amount) || 0;
    const { least, most, step, unit } = reachOf(kind, field, value);
    const isMoving = document.activeElement === range && range.dataset.kind === kind; // it would move below the pointer
    if (!isMoving) {
      Object.assign(range, { min: rounded(least), max: rounded(most), step: String(step), value: String(value) });
      range.dataset.kind = kind;
    }
    part(element, "least").textContent = Number(range.min).toLocaleString("en-US") + (unit === "%" ? unit : "");
    part(element, "most").textContent = Number(range.max).toLocaleString("en-US") + unit;
    const set = state.stored[name] ?? state.defaults[name];
    part(element, "now").textContent = set === undefined ? "not set yet" : `now set ${shown(set)}`;
  }

  function make(name) {
    const element = byId("threshold-piece").content.firstElementChild.cloneNode(true);
    const [[number, range], error] = [fieldsOf(element), element.querySelector(".error")];
    element.dataset.threshold = name;
    number.id = name;
    kindOf(element).replaceChildren(...[["", "a number"], ...shares.KINDS].map(([value, text]) => new Option(text, value)));
    kindOf(element).setAttribute("aria-label", `${state.labels[name] || name}, how it is set`);
    write(element, state.thresholds[name] ?? "");
    Object.assign(element.querySelector("label"), { htmlFor: name, textContent: state.labels[name] || name });
    error.id = `${name}-error`;
    number.setAttribute("aria-describedby", error.id);
    range.setAttribute("aria-label", `${state.labels[name] || name}, as a slider`);
    return element;
  }

  // Puts a text into the fields.
  function write(element, text) {
    const { kind, amount } = shares.split(text);
    kindOf(element).value = kind;
    fieldsOf(element)[0].value = amount;
  }

  function draw() {
    const wanted = used();
    [...made.keys()].filter((name) => !wanted.has(name)).forEach((name) => made.delete(name));
    wanted.forEach((field, name) => {
      if (!made.has(name)) made.set(name, make(name));
      scale(made.get(name), field, name);
    });
    const place = byId("threshold-list");
    const elements = [...wanted.keys()].map((name) => made.get(name));
    if (elements.length !== place.children.length || elements.some((one, at) => one !== place.children[at])) {
      place.replaceChildren(...elements);
    }
    if (!elements.length) place.textContent = "The rules name none.";
  }

  // A number field or a slider has changed.
  function edited(target) {
    const element = target.closest("[data-threshold]");
    const [number, range] = fieldsOf(element);
    if (target === kindOf(element)) return; // chosen() follows
    if (target === range) number.value = range.value;
    else if (isNumber(number.value)) range.value = number.value;
    const text = number.value.trim();
    const isShare = Boolean(shares.split(text).kind); // the user has typed all of it
    state.thresholds[element.dataset.threshold] = isShare ? text : shares.join(kindOf(element).value, text);
  }

  // How a threshold is set has been chosen, or a field has lost the focus.
  function chosen(target) {
    const element = target.closest("[data-threshold]");
    const name = element.dataset.threshold;
    if (target === kindOf(element)) {
      const was = state.resolved[name]?.number ?? "0"; // a share becomes the number that it was
      state.thresholds[name] = target.value ? shares.join(target.value, shares.first(target.value, state.customers)) : was;
    }
    write(element, state.thresholds[name]);
  }

  function showShares(found) {
    state.resolved = found;
    made.forEach((element, name) => shares.show(part(element, "share"), found[name]));
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
      if (set === undefined || !alike(now, set)) found[name] = now;
    });
    return found;
  }

  function showErrors(wrong) {
    made.forEach((element, name) => {
      const error = element.querySelector(".error");
      const text = wrong[name] || "";
      if (error.textContent !== text) error.textContent = text;
      element.querySelector("input").toggleAttribute("aria-invalid", Boolean(text));
      if (text) element.querySelector("input").setAttribute("aria-invalid", "true");
    });
  }

  function reset(thresholds) {
    state.thresholds = { ...thresholds };
    made.clear();
  }

  engage.segmentThresholds = { add, changed, chosen, draw, edited, reset, showErrors, showShares, start(given) { state = given; } };
})();
