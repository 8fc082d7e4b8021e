// The texts of segments, in all their variants and languages, and the customers who would read them.
"use strict";

(() => {
  const rows = engage.segmentRows;
  const { part, cards, nameOf } = rows;
  const shown = new Map(); // the customer whose text is shown, by segment
  const filled = new WeakMap(); // the name and the languages with which each card was filled
  let state = null;

  const setting = (name) => `message_${name.toLowerCase()}`;
  const plain = (text) => text.replaceAll("\r\n", "\n");

  const OWN = "a"; // the variant whose text for all others has a field of its own
  const NAMES = ["a", "b", "c", "d", "e"];

  // A segment's further texts as rows of variant, language and text; the empty language is for all others.
  function asRows(texts = {}) {
    const several = Object.keys(texts).every((name) => name.length === 1);
    return Object.entries(several ? texts : { [OWN]: texts }).flatMap(([variant, found]) =>
      Object.entries(typeof found === "string" ? { default: found } : found)
        .map(([tag, text]) => [variant, tag === "default" ? "" : tag, text]));
  }

  // The rows as engage_messages has them. ``own``: the text of the variant a that it has for all others, if any.
  // Of two texts with one variant and language, the second gets capital letters: the server refuses them, and none is lost.
  function asTexts(found, own) {
    const texts = own === undefined ? {} : { [OWN]: { default: own } };
    found.forEach(([variant, tag, text]) => {
      const key = variant === OWN ? tag : tag || "default";
      const stands = Object.hasOwn(texts[variant] || {}, key);
      texts[variant] = { ...texts[variant], [stands ? key.toUpperCase() : key]: text };
    });
    return Object.keys(texts).some((name) => name !== OWN) || own !== undefined ? texts : texts[OWN] || {};
  }

  // The text of the variant a in engage_messages, which comes before the segment's own setting.
  const ownHere = (name) => asRows(state.languages[name]).find(([variant, tag]) => variant === OWN && !tag)?.[2];
  const further = (name) => asRows(state.languages[name]).filter(([variant, tag]) => variant !== OWN || tag);
  const textOf = (name) => plain(ownHere(name) ?? state.stored[setting(name)] ?? state.defaults[setting(name)] ?? "");

  function languageRow(variant, tag, text) {
    const row = document.getElementById("language-piece").content.firstElementChild.cloneNode(true);
    part(row, "variant").value = variant;
    part(row, "tag").value = tag;
    part(row, "language-text").value = text;
    return row;
  }

  // A card's text and languages, as they are set.
  function fill(card) {
    part(card, "text").value = textOf(nameOf(card));
    fillLanguages(card);
  }

  const put = (card, languages) => part(card, "languages").replaceChildren(...languages.map((one) => languageRow(...one)));

  function fillLanguages(card) {
    put(card, further(nameOf(card)));
    filled.set(card, { name: nameOf(card), languages: sorted(languagesOf(card)) });
  }

  // Another user has set these languages: what this user has edited stays.
  function setLanguages(languages) {
    const same = cards().filter((card) => !languagesEdited(card));
    const sameText = cards().filter((card) => plain(part(card, "text").value) === textOf(nameOf(card)));
    state.languages = languages;
    same.forEach(fillLanguages);
    sameText.forEach((card) => { part(card, "text").value = textOf(nameOf(card)); });
    rows.refresh();
  }

  function addLanguage(card) {
    const row = languageRow(OWN, "", "");
    part(card, "languages").append(row);
    rows.refresh();
    part(row, "tag").focus();
  }

  function addVariant(card) {
    const taken = languagesOf(card).map(([variant]) => variant);
    const row = languageRow(NAMES.find((name) => name !== OWN && !taken.includes(name)), "", "");
    part(card, "languages").append(row);
    rows.refresh();
    part(row, "language-text").focus();
  }

  function removeLanguage(row) {
    const card = row.closest("[data-segment]");
    row.remove();
    rows.refresh();
    card.querySelector("[data-adds=language]").focus();
  }

  const languagesOf = (card) => [...card.querySelectorAll("[data-language]")].map((row) => [
    part(row, "variant").value, part(row, "tag").value.trim().replaceAll("_", "-").toLowerCase(), plain(part(row, "language-text").value)]);

  const sorted = (languages) => JSON.stringify([...languages].sort());

  function languagesEdited(card) {
    const was = filled.get(card);
    return was?.name !== nameOf(card) || was.languages !== sorted(languagesOf(card));
  }

  // What stands in the cards, by segment, for ``restore``: new cards take it over.
  const kept = () => new Map(cards().map((card) => [nameOf(card), {
    text: part(card, "text").value,
    languages: languagesOf(card),
  }]));

  function restore(card, texts) {
    fill(card);
    const own = texts.get(nameOf(card));
    if (!own) return;
    part(card, "text").value = own.text;
    put(card, own.languages);
  }

  // The changes of texts against what is set, as values by setting; null deletes a Variable.
  function changed() {
    const found = {};
    const languages = { ...state.languages };
    cards().forEach((card) => {
      const name = nameOf(card);
      const text = plain(part(card, "text").value);
      const fixed = state.defaults[setting(name)];
      const edited = text !== textOf(name);
      if (edited) found[setting(name)] = text || fixed ? text : null;
      const own = ownHere(name);
      if (!languagesEdited(card) && !(edited && own !== undefined)) return;
      languages[name] = asTexts(languagesOf(card), edited ? undefined : own);
      if (!Object.keys(languages[name]).length) delete languages[name];
    });
    const all = (texts) => JSON.stringify(Object.entries(texts).map(([name, own]) => [name, sorted(asRows(own))]).sort());
    if (all(languages) !== all(state.languages)) found.messages = JSON.stringify(languages);
    return found;
  }

  function show(card) {
    const examples = [...card.querySelectorAll("[data-example]")];
    if (!examples.length) return;
    const wanted = shown.get(nameOf(card));
    const chosen = (examples.find(({ dataset }) => dataset.example === wanted) || examples[0]).dataset.example;
    examples.forEach((one) => { one.hidden = one.dataset.example !== chosen; });
    card.querySelectorAll("[data-shows]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.shows === chosen)));
    part(card, "switch").hidden = false;
    label(card);
  }

  function label(card) {
    part(card, "switch").setAttribute("aria-label", `Preview of ${nameOf(card)} for`);
  }

  function choose(button) {
    const card = button.closest("[data-segment]");
    shown.set(nameOf(card), button.dataset.shows);
    show(card);
  }

  // What the server says of each text, as HTML by segment.
  function showAll(previews) {
    cards().filter((card) => nameOf(card) in previews).forEach((card) => {
      const page = new DOMParser().parseFromString(previews[nameOf(card)], "text/html");
      const pressed = document.activeElement?.closest?.("[data-shows]");
      const again = pressed && card.contains(pressed) ? pressed.dataset.shows : null;
      part(card, "preview").replaceChildren(...page.body.childNodes);
      show(card);
      if (again) card.querySelector(`[data-shows="${CSS.escape(again)}"]`)?.focus();
    });
  }

  engage.segmentTexts = {
    fill, setLanguages, kept, restore, addLanguage, addVariant, removeLanguage, changed, choose, showAll,
    start(given) { state = given; },
  };
})();
