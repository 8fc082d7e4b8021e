// The rows of segments, groups and conditions. What the user sees is the draft: read() makes the JSON of the rules from it.
"use strict";

(() => {
  const DEEPEST = 3;
  const NEW_THRESHOLD = "new";
  const shares = engage.segmentShares;
  const byId = (id) => document.getElementById(id);
  let state = null; // as segments_page.py makes it
  let list = null;

  const piece = (name) => byId(`${name}-piece`).content.firstElementChild.cloneNode(true);
  const part = (of, name) => of.querySelector(`[data-${name}]`);
  const cards = () => [...list.querySelectorAll("[data-segment]")];
  const otherwise = () => part(list, "otherwise");
  const nameOf = (card) => part(card, "name").value.trim();
  const rowsOf = (card) => [...card.querySelectorAll("[data-condition]")]; // at every depth, in order

  // --- choices

  function option(value, text, chosen) {
    const found = document.createElement("option");
    Object.assign(found, { value, textContent: text, selected: value === chosen });
    return found;
  }

  const fieldOf = (row) => state.fields.find(({ name }) => name === part(row, "field").value);
  const isName = (field) => field.unit === "segment";
  const isShare = (row) => part(row, "operator").value === "in";
  const isKind = (value) => shares.KINDS.some(([kind]) => kind === value);

  function offerOperators(row, chosen) {
    const known = state.operators.filter(([sign]) => !isName(fieldOf(row)) || sign === "=" || sign === "!=");
    part(row, "operator").replaceChildren(...known.map(([sign, words]) => option(sign, words, chosen)));
  }

  function offerValues(row, chosen) {
    const field = fieldOf(row);
    const [select, number] = [part(row, "value"), part(row, "number")];
    if (isShare(row)) {
      select.replaceChildren(...shares.KINDS.map(([kind, text]) => option(kind, text, chosen)));
      if (select.dataset.chosen !== select.value && !row.dataset.wanted) number.value = shares.first(select.value, state.customers);
    } else if (isName(field)) {
      const names = [...new Set([...allNames(), isKind(chosen) ? "" : chosen].filter(Boolean))];
      select.replaceChildren(...names.map((name) => option(name, name, chosen)));
    } else {
      const thresholds = [...new Set([...Object.keys(state.thresholds), chosen].filter((name) => name && name !== NEW_THRESHOLD && !isKind(name)))];
      select.replaceChildren(
        option("", "number", chosen),
        ...thresholds.map((name) => option(name, (state.labels[name] || name).replace(/ threshold$/, ""), chosen)),
        option(NEW_THRESHOLD, "make it a threshold…", ""),
      );
    }
    select.dataset.chosen = select.value;
    number.hidden = !isShare(row) && (select.value !== "" || isName(field));
    row.title = field.missing;
  }

  const allNames = () => [...cards().map(nameOf), nameOf(otherwise())];

  // --- from JSON to rows

  const LINE = /^\s*([^\s<>=!]+)\s*([<>=!]+|\sin\s)\s*(.*?)\s*$/i;

  function conditionRow(line) {
    const row = piece("condition");
    const [, name, sign, value] = LINE.exec(line) || [null, state.fields[0].name, "<", line];
    part(row, "field").append(...state.fields.map((one) => option(one.name, one.label, name)));
    offerOperators(row, sign.trim().toLowerCase());
    const { kind, amount } = shares.split(value);
    const named = isName(fieldOf(row)) || value.endsWith("_threshold");
    part(row, "number").value = named ? "" : amount;
    row.dataset.wanted = named ? value : kind;
    return row;
  }

  function groupRow(kind, inner) {
    const group = piece("group");
    part(group, "kind").value = kind;
    part(group, "conditions").append(...inner.map(nodeRow));
    return group;
  }

  function nodeRow(node) {
    if (typeof node === "string") return conditionRow(node);
    const [[kind, inner]] = Object.entries(node);
    return groupRow(kind, Array.isArray(inner) ? inner : [inner]);
  }

  function segmentCard({ name, when }) {
    const card = piece("segment");
    part(card, "name").value = name;
    part(card, "conditions").append(...when.map(nodeRow));
    card.dataset.was = name;
    return card;
  }

  function build(rules) {
    const last = piece("otherwise");
    part(last, "name").value = rules.otherwise;
    list.replaceChildren(...rules.segments.map(segmentCard), last);
    refresh();
  }

  // --- from rows to JSON

  function lineOf(row) {
    const select = part(row, "value");
    if (isShare(row)) return `${part(row, "field").value} in ${shares.join(select.value, part(row, "number").value)}`;
    const chosen = select.value === NEW_THRESHOLD ? select.dataset.chosen : select.value; // no threshold until it has a name
    return `${part(row, "field").value} ${part(row, "operator").value} ${chosen || part(row, "number").value.trim()}`;
  }

  const nodesOf = (conditions) => [...conditions.children].map((row) =>
    ("condition" in row.dataset ? lineOf(row) : { [part(row, "kind").value]: nodesOf(part(row, "conditions")) }));

  const read = () => ({
    segments: cards().map((card) => ({ name: nameOf(card), when: nodesOf(part(card, "conditions")) })),
    otherwise: nameOf(otherwise()),
  });

  // --- names for screen readers, ids and what may be pressed

  function label(element, text) {
    if (element) element.setAttribute("aria-label", text);
  }

  function describe(field, error, id) {
    Object.assign(error, { id });
    field.setAttribute("aria-describedby", id);
  }

  function refreshCard(card, number) {
    const name = nameOf(card) || `segment ${number + 1}`;
    const [first, last] = [number === 0, number === cards().length - 1];
    label(part(card, "name"), `Name of segment ${number + 1}`);
    describe(part(card, "name"), part(card, "name-error"), `segment-${number}-name-error`);
    const moves = { up: card.querySelector("[data-moves=up]"), down: card.querySelector("[data-moves=down]") };
    label(moves.up, `Move up ${name}`);
    label(moves.down, `Move down ${name}`);
    moves.up.disabled = first;
    moves.down.disabled = last;
    label(card.querySelector("[data-removes=segment]"), `Remove ${name}`);
    card.querySelectorAll("[data-adds]").forEach((button) => {
      const what = { condition: "Add a condition", any: "Add an any-of group", not: "Add a not-all group", language: "Add a language", variant: "Add a text to compare" };
      label(button, `${what[button.dataset.adds]} to ${button.closest("[data-group]") ? "a group of " : ""}${name}`);
      const depth = [...card.querySelectorAll("[data-group]")].filter((group) => group.contains(button)).length;
      button.hidden = ["any", "not"].includes(button.dataset.adds) && depth >= DEEPEST;
    });
    card.querySelectorAll("[data-group]").forEach((group) => {
      label(part(group, "kind"), `Kind of group in ${name}`);
      label(group.querySelector("[data-removes=group]"), `Remove the group from ${name}`);
    });
    rowsOf(card).forEach((row, at) => refreshRow(row, at, number, name));
    const id = `segment-${number}-text`;
    part(card, "text").id = id;
    card.querySelector(".segment-text label").htmlFor = id;
    label(part(card, "text"), `Text for ${name}`);
    describe(part(card, "text"), part(card, "text-error"), `${id}-error`);
    refreshLanguages(card, name);
  }

  function refreshLanguages(card, name) {
    const languages = [...card.querySelectorAll("[data-language]")];
    const variants = new Set(languages.map((one) => part(one, "variant").value));
    variants.add("a"); // the card's own text
    card.querySelector(".segment-text label").textContent = variants.size > 1 ? "Text a" : "Text message";
    languages.forEach((language) => {
      const [variant, tag] = [part(language, "variant").value, part(language, "tag").value];
      const own = variant === "a";
      const inTag = tag || own ? ` in ${tag || "a language"}` : "";
      part(language, "variant").hidden = variants.size === 1;
      part(language, "tag").placeholder = own ? "" : "all others";
      label(part(language, "variant"), `Which text of ${name}`);
      label(part(language, "tag"), `Language of ${own ? "a text" : `text ${variant}`} for ${name}`);
      label(part(language, "language-text"), `Text ${own ? "" : `${variant} `}for ${name}${inTag}`);
      label(language.querySelector("button"), `Remove ${own ? tag || "a language" : `text ${variant}${inTag}`} from ${name}`);
    });
    card.querySelector("[data-adds=variant]").hidden = variants.size === 5;
    const proposes = card.querySelector("[data-proposes]");
    if (proposes) engage.segmentDrafts.label(proposes, engage.segmentDraft.waiting);
  }

  function refreshRow(row, at, number, name) {
    if ("wanted" in row.dataset || isName(fieldOf(row))) offerValues(row, row.dataset.wanted ?? part(row, "value").value);
    delete row.dataset.wanted;
    const of = `condition ${at + 1} of ${name}`;
    label(part(row, "field"), `Field of ${of}`);
    label(part(row, "operator"), `Comparison of ${of}`);
    label(part(row, "value"), `${isShare(row) ? "Kind of share" : "Number or threshold"} of ${of}`);
    label(part(row, "number"), `Number of ${of}`);
    label(row.querySelector("button"), `Remove ${of}`);
    const id = `segment-${number}-row-${at}-error`;
    ["field", "operator", "value", "number"].forEach((one) => describe(part(row, one), part(row, "row-error"), id));
  }

  function refresh() {
    cards().forEach(refreshCard);
    describe(part(otherwise(), "name"), part(otherwise(), "name-error"), "otherwise-name-error");
  }

  // A threshold is new: every row may take it.
  function offerThresholds() {
    cards().flatMap(rowsOf).filter((row) => !isName(fieldOf(row))).forEach((row) => offerValues(row, part(row, "value").value));
  }

  // --- changes of the structure. Each says what has the focus then.

  function add(button) {
    const conditions = part(button.closest("[data-group], [data-segment]"), "conditions");
    const line = `${state.fields[0].name} > 0`;
    const row = button.dataset.adds === "condition" ? conditionRow(line) : groupRow(button.dataset.adds, [line]);
    conditions.append(row);
    refresh();
    part(row, "field").focus();
  }

  function addSegment() {
    const taken = allNames();
    let number = cards().length + 1;
    while (taken.includes(`SEGMENT_${number}`)) number += 1;
    const card = segmentCard({ name: `SEGMENT_${number}`, when: [`${state.fields[0].name} > 0`] });
    delete card.dataset.was;
    otherwise().before(card);
    refresh();
    part(card, "name").select();
    card.scrollIntoView({ block: "nearest" });
    return card;
  }

  function removeRow(row) {
    const conditions = row.parentElement;
    const next = row.nextElementSibling || row.previousElementSibling;
    row.remove();
    refresh();
    const focus = next?.querySelector("select") || conditions.parentElement.querySelector("[data-adds=condition]");
    focus.focus();
  }

  function removeSegment(card) {
    const next = card.nextElementSibling.matches("[data-segment]") ? card.nextElementSibling : card.previousElementSibling;
    card.remove();
    refresh();
    (next ? next.querySelector("[data-removes=segment]") : byId("add-segment")).focus();
  }

  function move(card, button) {
    const [before, after] = [card.previousElementSibling, card.nextElementSibling];
    if (button.dataset.moves === "up") before.before(card);
    else after.after(card);
    refresh();
    const other = card.querySelector(`[data-moves=${button.dataset.moves === "up" ? "down" : "up"}]`);
    (button.disabled ? other : button).focus();
  }

  const place = (card) => `${nameOf(card)} is number ${cards().indexOf(card) + 1} of ${cards().length}.`;

  // --- dragging. The list has the pointer, as a card loses it when it moves.

  const EDGE = 60; // pixels from the window's edge at which it scrolls
  const SCROLL = 24;

  function drag(card, y) {
    const over = cards().find((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return one !== card && top <= y && y <= bottom;
    });
    if (over) {
      const { top, height } = over.getBoundingClientRect();
      const isBelow = cards().indexOf(over) > cards().indexOf(card);
      if (isBelow && y > top + height / 2) over.after(card);
      if (!isBelow && y < top + height / 2) over.before(card);
    }
    if (y < EDGE) window.scrollBy(0, -SCROLL);
    if (y > window.innerHeight - EDGE) window.scrollBy(0, SCROLL);
  }

  function dragging(changed) {
    let card = null;
    let before = 0;
    list.addEventListener("pointerdown", (event) => {
      if (!event.target.closest(".grip") || event.button) return;
      event.preventDefault();
      card = event.target.closest("[data-segment]");
      before = cards().indexOf(card);
      card.classList.add("dragged");
      list.setPointerCapture(event.pointerId);
    });
    list.addEventListener("pointermove", ({ clientY }) => card && drag(card, clientY));
    list.addEventListener("lostpointercapture", () => {
      card?.classList.remove("dragged");
      const moved = card;
      card = null;
      if (!moved || cards().indexOf(moved) === before) return;
      refresh();
      changed(moved);
    });
  }

  engage.segmentRows = {
    NEW_THRESHOLD, part, cards, otherwise, nameOf, rowsOf, fieldOf, lineOf, build, read, refresh, offerThresholds,
    offerOperators, offerValues, add, addSegment, removeRow, removeSegment, move, place, dragging,
    start(given, element) {
      state = given;
      list = element;
    },
  };
})();
