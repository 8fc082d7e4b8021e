// The page "Segments": counts the draft again as it is edited, and sets it for the next campaign.
"use strict";

(() => {
  const PAUSE_MS = 200; // a slider fires an event for every pixel
  const { segmentRows: rows, segmentShares: shares, segmentTexts: texts, segmentThresholds: thresholds } = engage;
  const { part, cards, otherwise, nameOf } = rows;
  const byId = (id) => document.getElementById(id);
  let state = null;
  let first = null; // what the page was loaded with
  let set = null; // the rules that are set, as read() gives them
  let examples = {};
  let latest = 0; // the number of the last question to the server
  let waiting = 0;
  let leaving = null;
  let naming = null; // the row whose number becomes a threshold
  let stepping = false; // the last key moves through the choices of a select

  // --- the draft against what is set

  function changes() {
    const values = { ...thresholds.changed(), ...texts.changed() };
    const rules = JSON.stringify(rows.read());
    if (rules !== set) values.segments = rules;
    const order = ["segments", ...Object.keys(values).filter((name) => name !== "segments")];
    return order.filter((name) => name in values).map((name) => ({ name, value: values[name], was: state.stored[name] ?? null }));
  }

  // --- what the server says

  function mark(field, error, text) {
    if (error.textContent !== text) error.textContent = text;
    [field].flat().forEach((one) => {
      if (text) one.setAttribute("aria-invalid", "true");
      else one.removeAttribute("aria-invalid");
    });
  }

  function showErrors({ segments = [], otherwise: last = "", settings = {}, whole = "" }) {
    cards().forEach((card, at) => {
      const found = segments[at] || { name: "", when: "", rows: {}, text: "" };
      mark(part(card, "name"), part(card, "name-error"), found.name);
      part(card, "when-error").textContent = found.when;
      mark(part(card, "text"), part(card, "text-error"), found.text);
      rows.rowsOf(card).forEach((row, n) =>
        mark(["field", "operator", "value", "number"].map((name) => part(row, name)), part(row, "row-error"), found.rows[n] || ""));
    });
    mark(part(otherwise(), "name"), part(otherwise(), "name-error"), last);
    byId("whole-error").textContent = whole;
    thresholds.showErrors(settings);
  }

  function bubbles(html) {
    return new DOMParser().parseFromString(html, "text/html").body.childNodes;
  }

  function showCounts(segments) {
    [...cards(), otherwise()].forEach((card, at) => {
      const { tone, customers, share, messages, warnings } = segments[at];
      part(card, "dot").className = `dot tone-${tone}`;
      const count = document.createElement("strong");
      count.textContent = customers;
      const more = document.createElement("span");
      more.dataset.texted = "";
      part(card, "count").replaceChildren(count, ` · ${share} · ${messages}`, more);
      part(card, "warnings").replaceChildren(...warnings.map((text) => {
        const line = document.createElement("p");
        Object.assign(line, { className: "warned", textContent: text });
        return line;
      }));
    });
  }

  function showShares(found) {
    thresholds.showShares(found);
    cards().flatMap(rows.rowsOf).forEach((row) => shares.show(part(row, "share"), found[rows.lineOf(row)]));
  }

  function showTexted({ by_segment: bySegment, part: html }) {
    if (!bySegment) return;
    byId("texted").replaceChildren(...bubbles(html));
    cards().filter((card) => nameOf(card) in bySegment).forEach((card) => {
      const place = card.querySelector("[data-texted]");
      if (place) place.textContent = ` · ${bySegment[nameOf(card)]}`;
    });
  }

  async function ask(address, more = {}) {
    const mine = latest;
    const answer = await engage.post(address, { window_start: byId("segments").dataset.window, changes: changes(), ...more });
    return mine === latest && byId("segments") ? answer : null; // else the draft has changed, or the user has left
  }

  async function count() {
    latest += 1;
    const answer = await ask("segments-counts");
    if (!answer) return;
    byId("counts").removeAttribute("aria-busy");
    if (!answer.errors) {
      engage.toast(answer.text, { tone: "failed" });
      return;
    }
    showErrors(answer.errors);
    if (answer.parts) {
      Object.entries(answer.parts).filter(([name]) => byId(name)).forEach(([name, html]) => byId(name).replaceChildren(...bubbles(html)));
      showCounts(answer.segments);
      showShares(answer.shares);
      examples = answer.examples;
      byId("said").textContent = answer.said;
    }
    if (byId("set")) byId("set").disabled = !(answer.may_save && changes().length);
    await Promise.all([showTexts(), answer.parts && showRecipients()]);
  }

  async function showTexts() {
    const answer = await ask("segments-texts", { customers: Object.fromEntries(cards().map((card) => [nameOf(card), examples[nameOf(card)] || []])) });
    if (answer?.texts) texts.showAll(answer.texts);
  }

  async function showRecipients() {
    byId("texted").querySelector("[data-counting]")?.removeAttribute("hidden");
    const answer = await ask("segments-texted");
    if (answer?.ok) showTexted(answer);
    else byId("texted")?.querySelector("[data-counting]")?.remove();
  }

  function later() {
    latest += 1; // an answer on its way is of an earlier draft
    byId("counts").setAttribute("aria-busy", "true");
    if (byId("set")) byId("set").disabled = true; // until the draft is checked
    byId("start-again").hidden = !changes().length;
    clearTimeout(waiting);
    waiting = setTimeout(count, PAUSE_MS);
  }

  function changed() {
    rows.refresh();
    thresholds.draw();
    later();
  }

  // --- the user's hand

  // A segment's name as it is allowed.
  function capitals(field) {
    const [text, at] = [field.value.toUpperCase().replaceAll(" ", "_"), field.selectionStart];
    if (text === field.value) return;
    field.value = text;
    field.setSelectionRange(at, at);
  }

  function edited({ target }) {
    const { dataset } = target;
    if (target.closest("[data-threshold]")) {
      thresholds.edited(target);
      later();
    } else if (["name", "number", "text", "tag", "languageText"].some((one) => one in dataset)) {
      if ("name" in dataset) capitals(target);
      later();
    }
  }

  function chosen({ target }) {
    const row = target.closest("[data-condition]");
    const { dataset } = target;
    if (row && "value" in dataset && target.value === rows.NEW_THRESHOLD) {
      if (!stepping) nameThreshold(row);
      return;
    }
    if (row && "field" in dataset) rows.offerOperators(row, part(row, "operator").value);
    if (row && ["field", "operator", "value"].some((one) => one in dataset)) rows.offerValues(row, part(row, "value").value);
    if (target.closest("[data-threshold]")) {
      thresholds.chosen(target);
      changed();
      return;
    }
    if (row || ["kind", "name", "tag", "variant"].some((one) => one in dataset)) changed();
  }

  function pressed({ target }) {
    const button = target.closest("button");
    if (!button) return;
    const { adds, removes, moves, shows } = button.dataset;
    const card = button.closest("[data-segment]");
    if (shows) {
      texts.choose(button);
      return;
    }
    if (adds === "language") texts.addLanguage(card);
    else if (adds === "variant") texts.addVariant(card);
    else if (adds) rows.add(button);
    else if (removes === "segment") rows.removeSegment(card);
    else if (removes === "language") texts.removeLanguage(button.closest("[data-language]"));
    else if (removes) rows.removeRow(button.closest(removes === "group" ? "[data-group]" : "[data-condition]"));
    else if (moves) moved(card, button);
    if (adds || removes || moves) changed();
  }

  function moved(card, button) {
    if (button) rows.move(card, button);
    byId("moved-to").textContent = rows.place(card);
  }

  // --- a new threshold

  const isNew = (field) => field.matches("[data-condition] [data-value]") && field.value === rows.NEW_THRESHOLD;

  // The arrow keys pass each choice of a select: what they pass opens no dialog.
  function key(event) {
    stepping = event.key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(event.key);
    if (event.key !== "Enter" || !isNew(event.target)) return;
    event.preventDefault();
    nameThreshold(event.target.closest("[data-condition]"));
  }

  function left({ target }) {
    if (!document.hasFocus()) return; // the user is in another window
    setTimeout(() => { // the focus is where it goes by then, so that the dialog can give it back
      if (target.isConnected && isNew(target)) nameThreshold(target.closest("[data-condition]"));
    });
  }

  function nameThreshold(row) {
    naming = row;
    part(row, "value").value = part(row, "value").dataset.chosen; // until it has a name
    byId("threshold-name").value = "";
    byId("threshold-name-error").textContent = "";
    byId("threshold-dialog").showModal();
  }

  function named(event) {
    event.preventDefault();
    const name = `${byId("threshold-name").value.trim().replace(/_threshold$/, "")}_threshold`;
    const right = /^[a-z][a-z0-9_]{0,48}_threshold$/.test(name);
    mark(byId("threshold-name"), byId("threshold-name-error"), right ? "" : "It takes small letters, digits and _, and starts with a letter.");
    if (!right) return;
    thresholds.add(name, part(naming, "number").value.trim() || "0");
    rows.offerThresholds();
    rows.offerValues(naming, name);
    byId("threshold-dialog").close();
    part(naming, "value").focus();
    changed();
  }

  // --- JSON

  function openJson() {
    byId("json").value = JSON.stringify(rows.read(), null, 2);
    mark(byId("json"), byId("json-error"), "");
    byId("json-dialog").showModal();
  }

  async function useJson(event) {
    event.preventDefault();
    const answer = await engage.post("segments-read", { text: byId("json").value });
    const wrong = answer.ok ? answer.wrong : answer.text;
    mark(byId("json"), byId("json-error"), wrong || "");
    if (wrong) return;
    byId("json-dialog").close();
    answer.thresholds.forEach((name) => thresholds.add(name, "")); // the user gives each new one its number
    const kept = texts.kept(); // what the user has typed and not set yet
    rows.build(answer.rules);
    cards().forEach((card) => texts.restore(card, kept));
    changed();
  }

  function copyJson() {
    byId("json").select();
    const done = document.execCommand("copy"); // navigator.clipboard exists only with TLS
    engage.toast(done ? "Copied." : "The browser does not allow a page to copy.", done ? {} : { tone: "failed" });
  }

  // --- setting

  async function save(event) {
    event.preventDefault();
    event.stopPropagation(); // forms.js would send the fields of the dialog
    const dialog = byId("set-dialog");
    const button = dialog.querySelector("[type=submit]");
    const wrong = dialog.querySelector("output");
    button.disabled = true;
    const answer = await engage.post(event.target.action, { changes: changes() });
    button.disabled = false;
    if (answer.ok) {
      leaving.leave();
      engage.toastAfterReload(answer.text, { undo: answer.undo });
      return;
    }
    if (answer.current) {
      take(answer.current);
      await count();
    }
    wrong.textContent = answer.text;
  }

  // What is set now, by setting; null for no Variable.
  function take(current) {
    Object.entries(current).forEach(([name, value]) => {
      if (value === null) delete state.stored[name];
      else state.stored[name] = value;
    });
    if ("messages" in current) texts.setLanguages(JSON.parse(current.messages || "{}"));
    if (current.segments) set = null; // written by another user, so that the draft's differ
  }

  function took(current) {
    take(current);
    changed();
  }

  function openSet() {
    byId("set-dialog").querySelector("output").textContent = "";
    byId("set-dialog").showModal();
  }

  function fill(given) {
    thresholds.reset(given.thresholds);
    rows.build(given.rules);
    cards().forEach(texts.fill);
    rows.refresh(); // names the fields of the texts
    thresholds.draw();
  }

  function startAgain() {
    fill(first);
    byId("add-segment").focus();
    changed();
  }

  engage.segmentDraft = { changes, took, stored: (name) => state.stored[name] ?? null, waiting: {} };

  document.addEventListener("DOMContentLoaded", () => {
    const list = byId("segments");
    state = JSON.parse(list.dataset.state);
    engage.segmentDraft.waiting = state.waiting;
    first = { rules: state.rules, thresholds: { ...state.thresholds } };
    examples = state.examples;
    [rows, texts, thresholds].forEach((one) => one.start(state, list));
    document.querySelectorAll("[data-scripted]").forEach((one) => { one.hidden = false; });
    fill(first);
    set = JSON.stringify(rows.read());
    showCounts(state.counted);
    showShares(state.shares);
    texts.showAll(state.previews);
    rows.dragging((card) => {
      moved(card);
      changed();
    });
    document.addEventListener("input", edited);
    document.addEventListener("change", chosen);
    list.addEventListener("click", pressed);
    list.addEventListener("keydown", key);
    list.addEventListener("pointerdown", () => { stepping = false; });
    list.addEventListener("focusout", left);
    byId("add-segment").addEventListener("click", () => {
      rows.addSegment();
      changed();
    });
    byId("start-again").addEventListener("click", startAgain);
    byId("open-json").addEventListener("click", openJson);
    byId("copy-json").addEventListener("click", copyJson);
    byId("json-dialog").querySelector("form").addEventListener("submit", useJson);
    byId("threshold-dialog").querySelector("form").addEventListener("submit", named);
    byId("set")?.addEventListener("click", openSet);
    byId("set-dialog")?.querySelector("form").addEventListener("submit", save);
    const kept = () => list.isConnected && document.getElementById("set-dialog"); // who may set nothing loses nothing
    leaving = engage.askBeforeLeaving(() => (kept() ? changes().length : 0));
    byId("window_start").addEventListener("change", ({ target }) => {
      const address = `segments?window_start=${target.value}`;
      target.value = list.dataset.window; // until the user has answered
      leaving.ask(() => engage.go(address));
    });
    showRecipients();
  });
})();
