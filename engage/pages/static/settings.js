// The page "Texts and settings": one group at a time, checks while the user types, and what is saved.
"use strict";

(() => {
  const PAUSE_MS = 250; // after a key
  const SHORT = 60; // a longer value is shown in full below its name
  const NO_VARIABLE = Symbol("no Variable");
  const byId = (id) => document.getElementById(id);
  const form = byId("settings");
  const read = (box) => ({
    box,
    name: box.dataset.setting,
    label: box.dataset.label,
    default: box.dataset.default,
    custom: box.dataset.custom !== undefined, // staff chose its name, so it has no default
    stored: box.dataset.stored ?? NO_VARIABLE,
    field: box.querySelector("input, select, textarea"),
    reset: false, // the Variable shall be deleted
  });
  const all = [...document.querySelectorAll("[data-setting]")].map(read);
  const settings = new Map(all.map((one) => [one.name, one]));
  const editable = Boolean(byId("save"));
  const examples = new Map(); // the example that is shown, by text
  let asking = new AbortController();
  let waiting = 0;
  let offered; // the HTML of the texts that could be written
  let leaving = null;

  // --- values

  const switchText = (text) => /^(1|true|t|yes|y|on)$/i.test(text) ? "true" : "false";
  const isSwitch = (one) => one.field.type === "checkbox";
  const shown = (one) => (isSwitch(one) ? String(one.field.checked) : one.field.value);
  const saved = (one) => (one.stored === NO_VARIABLE ? one.default : one.stored);
  const asShown = (one, text) => (isSwitch(one) ? switchText(text) : text.replaceAll("\r\n", "\n"));

  // Whether the field shows this value: 50 is 50.0.
  function shows(one, text) {
    const [now, then] = [shown(one), asShown(one, text)];
    const isNumber = one.field.type === "number" || one.name.endsWith("_threshold");
    return now === then || (isNumber && now !== "" && Number(now) === Number(then));
  }

  const isChanged = (one) => (one.reset ? one.stored !== NO_VARIABLE : !shows(one, saved(one)));

  function put(one, text) {
    if (isSwitch(one)) one.field.checked = switchText(text) === "true";
    else one.field.value = text;
  }

  const changes = () => all.filter(isChanged).map((one) => ({
    name: one.name,
    value: one.reset ? null : shown(one),
    was: one.stored === NO_VARIABLE ? null : one.stored,
  }));

  // --- groups

  function showGroup({ focus = false } = {}) {
    const wanted = decodeURIComponent(window.location.hash.slice(1));
    const panels = [...document.querySelectorAll("[data-panel]")];
    const setting = settings.get(wanted);
    const panel = setting?.box.closest("[data-panel]") || panels.find(({ id }) => id === wanted) || panels[0];
    panels.forEach((one) => { one.hidden = one !== panel; });
    document.querySelectorAll("[data-group]").forEach((link) => {
      if (link.dataset.group === panel.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    byId("history")?.close(); // a link in it led here
    if (setting) setting.field.focus();
    else if (focus) panel.focus({ preventScroll: true });
  }

  // --- what the user sees

  function mark() {
    all.forEach((one) => {
      const changed = isChanged(one);
      const marks = Object.fromEntries([...one.box.querySelectorAll("[data-mark]")].map((pill) => [pill.dataset.mark, pill]));
      const isDefault = one.reset || shows(one, one.default);
      marks.changed.hidden = !changed;
      marks.default.hidden = changed || !isDefault;
      const [reset, revert] = [one.box.querySelector("[data-reset]"), one.box.querySelector("[data-revert]")];
      if (reset) reset.hidden = isDefault;
      if (revert) revert.hidden = !changed;
    });
    document.querySelectorAll("[data-group]").forEach((link) => {
      const inside = all.filter(({ box }) => box.closest("[data-panel]").id === link.dataset.group);
      const wrong = inside.filter(({ field }) => field.hasAttribute("aria-invalid")).length;
      const changed = inside.filter(isChanged).length;
      const count = link.querySelector("[data-count]");
      count.textContent = wrong ? `${wrong} wrong` : changed ? `${changed} changed` : inside.length;
      count.className = wrong ? "bad" : changed ? "changed" : "muted";
    });
    const count = changes().length;
    if (editable) byId("save").textContent = count ? `Save ${count} ${count === 1 ? "change" : "changes"}…` : "Save…";
  }

  function showErrors(errors) {
    all.forEach((one) => {
      const text = errors[one.name] || "";
      if (text) one.field.setAttribute("aria-invalid", "true");
      else one.field.removeAttribute("aria-invalid");
      const place = byId(`${one.name}-error`);
      if (place.textContent !== text) place.textContent = text;
    });
    const wrong = Object.keys(errors).length;
    const said = wrong ? `${wrong} ${wrong === 1 ? "setting is" : "settings are"} wrong` : `All ${all.length} are valid ✓`;
    if (byId("all-valid").textContent !== said) byId("all-valid").textContent = said;
  }

  function showExample(name) {
    const chosen = examples.get(name) || "Ada";
    document.querySelectorAll(`#${name}-bubbles [data-example]`).forEach((one) => { one.hidden = one.dataset.example !== chosen; });
    document.querySelectorAll(`[data-of="${name}"]`).forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.shows === chosen)));
  }

  function showPreviews(previews) {
    Object.entries(previews).filter(([name]) => settings.has(name)).forEach(([name, parts]) => {
      Object.entries(parts).forEach(([part, html]) => {
        const page = new DOMParser().parseFromString(html, "text/html");
        byId(`${name}-${part}`).replaceChildren(...page.body.childNodes);
      });
      showExample(name);
    });
  }

  function showShares(shares) {
    document.querySelectorAll("[data-share]").forEach((place) => {
      const html = shares[place.dataset.share] || "";
      place.replaceChildren(...parsed(html));
    });
  }

  // --- settings that a change of the rules brings along

  function add(parts, place) {
    const found = document.createElement("div");
    found.append(parts);
    found.querySelectorAll("[data-scripted]").forEach((one) => { one.hidden = false; });
    const one = read(found.querySelector("[data-setting]"));
    place(...found.childNodes);
    all.push(one);
    settings.set(one.name, one);
    if (byId(`${one.name}-bubbles`)) showExample(one.name);
    return one;
  }

  const parsed = (html) => document.importNode(new DOMParser().parseFromString(html, "text/html").body, true).childNodes;

  function showOffers(html) {
    if (html !== undefined && html !== offered) byId("offers").replaceChildren(...parsed(html));
    offered = html ?? offered;
    document.querySelectorAll("[data-offer]").forEach((one) => { one.hidden = settings.has(one.dataset.offer); });
  }

  function showThresholds(thresholds) {
    Object.entries(thresholds).filter(([name]) => !settings.has(name)).forEach(([, html]) => {
      const parts = document.createDocumentFragment();
      parts.append(...parsed(html));
      add(parts, (...nodes) => byId("segments-and-thresholds-others").append(...nodes));
    });
  }

  function write(name) {
    const one = add(byId(`new-${name}`).content.cloneNode(true), (...nodes) => byId("offers").before(...nodes));
    showOffers();
    mark();
    one.field.focus();
  }

  // --- the check by the code of a run

  async function check() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const answer = await engage.post(form.action, { changes: changes() });
    if (signal.aborted || !form.isConnected) return;
    if (answer.errors) {
      showThresholds(answer.thresholds);
      showOffers(answer.offers);
      showErrors(answer.errors);
      showPreviews(answer.previews);
      showShares(answer.shares);
    } else {
      engage.toast(answer.text, { tone: "failed" });
    }
    mark();
    byId("save").disabled = !(answer.may_save && changes().length);
  }

  function later() {
    byId("save").disabled = true; // until the values are checked
    mark();
    clearTimeout(waiting);
    waiting = setTimeout(check, PAUSE_MS);
  }

  function edited(event) {
    const one = settings.get(event.target.name);
    if (!one || !editable) return;
    one.reset = false;
    later();
  }

  // --- buttons

  function insert({ dataset }) {
    const { field } = settings.get(dataset.into);
    field.focus();
    if (!document.execCommand("insertText", false, dataset.insert)) { // which the browser's own undo knows
      field.setRangeText(dataset.insert, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  function reset(one) {
    put(one, one.default);
    one.reset = one.stored !== NO_VARIABLE;
    one.field.focus();
    later();
  }

  function revert(one) {
    put(one, saved(one));
    one.reset = false;
    one.field.focus();
    later();
  }

  function pressed(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { dataset } = button;
    if (dataset.writes) write(dataset.writes);
    else if (dataset.insert) insert(button);
    else if (dataset.reset) reset(settings.get(dataset.reset));
    else if (dataset.revert) revert(settings.get(dataset.revert));
    else if (dataset.shows) {
      examples.set(dataset.of, dataset.shows);
      showExample(dataset.of);
    } else if (button.id === "save") openDialog();
  }

  // --- saving

  function cell(tag, role, text, label) {
    const found = document.createElement(tag);
    found.setAttribute("role", role);
    if (label) found.dataset.label = label;
    found.textContent = text || "nothing";
    if (!text) found.className = "muted";
    if (text.length > SHORT) found.classList.add("long");
    return found;
  }

  function openDialog() {
    byId("changes").replaceChildren(...all.filter(isChanged).map((one) => {
      const row = document.createElement("tr");
      row.setAttribute("role", "row");
      const name = cell("th", "rowheader", one.label);
      name.scope = "row";
      const now = cell("td", "cell", asShown(one, saved(one)), "Now");
      const next = cell("td", "cell", shown(one), "New");
      if (one.stored === NO_VARIABLE && !one.custom) now.append(" (default)");
      if (one.reset && !one.custom) next.append(" (default)");
      row.append(name, now, next);
      return row;
    }));
    const dialog = byId("save-dialog");
    dialog.querySelector("output").textContent = "";
    dialog.showModal();
  }

  async function save(event) {
    event.preventDefault();
    event.stopPropagation(); // forms.js would send the fields of the dialog
    const dialog = byId("save-dialog");
    const button = dialog.querySelector("[type=submit]");
    button.disabled = true;
    const answer = await engage.post(event.target.action, { changes: changes() });
    button.disabled = false;
    if (answer.ok) {
      leaving.leave();
      engage.toastAfterReload(answer.text, { undo: answer.undo });
      return;
    }
    Object.entries(answer.current || {}).forEach(([name, value]) => { settings.get(name).stored = value ?? NO_VARIABLE; });
    if (answer.current) openDialog();
    if (answer.errors) showErrors(answer.errors);
    mark();
    dialog.querySelector("output").textContent = answer.text;
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!form) return;
    document.querySelectorAll("[data-scripted]").forEach((one) => { one.hidden = false; });
    document.querySelectorAll("[id$=-bubbles]").forEach(({ id }) => showExample(id.replace("-bubbles", "")));
    showGroup();
    window.addEventListener("hashchange", () => showGroup({ focus: true }));
    document.addEventListener("click", pressed);
    form.addEventListener("input", edited);
    form.addEventListener("submit", (event) => event.preventDefault());
    if (!editable) return;
    byId("save-dialog").querySelector("form").addEventListener("submit", save);
    leaving = engage.askBeforeLeaving(() => (form.isConnected ? changes().length : 0));
    mark();
    if (changes().length) later(); // the browser has kept what was typed before a reload
  });
})();
