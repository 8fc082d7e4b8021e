// "Propose texts": asks a model for texts for a segment, and lets a person edit, approve and reject what it writes.
"use strict";

(() => {
  const LOOKS = 500; // as long as a run may take
  const byId = (id) => document.getElementById(id);
  let segment = null;
  let opener = null;

  const say = (text) => { byId("drafts-said").textContent = text; };
  const fail = (text) => { byId("drafts-error").textContent = text; };

  function label(button, waiting) {
    const name = engage.segmentRows.nameOf(button.closest("[data-segment]"));
    const count = waiting[name] || 0;
    button.textContent = count ? `Propose texts… (${count})` : "Propose texts…";
    button.setAttribute("aria-label", `Propose texts for ${name}…${count ? ` ${count} drafts wait` : ""}`);
  }

  // The list of drafts, as an answer of the server has it.
  function show({ part, waiting }) {
    byId("drafts").replaceChildren(...new DOMParser().parseFromString(part, "text/html").body.childNodes);
    engage.segmentDraft.waiting[segment] = waiting;
    if (opener?.isConnected) label(opener, engage.segmentDraft.waiting);
  }

  async function load() {
    const mine = segment;
    const answer = await engage.post("drafts", { segment });
    if (mine !== segment) return;
    if (answer.ok) show(answer);
    else fail(answer.text);
  }

  async function open(button) {
    opener = button;
    segment = engage.segmentRows.nameOf(button.closest("[data-segment]"));
    byId("drafts-segment").textContent = segment;
    byId("drafts").replaceChildren();
    fail("");
    say("");
    byId("drafts-dialog").showModal();
    await load();
  }

  // --- asking

  async function ask(event) {
    event.preventDefault();
    event.stopPropagation(); // forms.js would send the fields of the dialog
    const button = event.target.querySelector("[type=submit]");
    const [mine, id] = [segment, engage.newId()];
    const wanted = { offer: byId("drafts-offer").value, language: byId("drafts-language").value, count: Number(byId("drafts-count").value) };
    button.disabled = true;
    fail("");
    say("The request is on its way…");
    const asked = await engage.post("drafts-propose", { proposal_id: id, segment, ...wanted });
    const seen = ({ text }) => { if (mine === segment) say(text); };
    const answer = asked.ok ? await engage.settled("drafts-proposal", { proposal_id: id }, { looks: LOOKS, seen }) : asked;
    button.disabled = false;
    if (mine !== segment) return;
    say("");
    if (!answer) fail("The request still waits. The page Activity and Airflow's run of engage_propose_texts say more.");
    else if (!answer.ok || answer.failed) fail(answer.text);
    else say(answer.text);
    if (answer?.ok && !answer.failed) await load();
  }

  // --- judging

  const draftOf = (node) => node.closest("[data-draft]");
  const textOf = (draft) => draft.querySelector("textarea").defaultValue;

  function toggle(draft, editing) {
    const form = draft.querySelector("[data-edits]");
    form.hidden = !editing;
    form.previousElementSibling.hidden = editing;
    if (editing) form.querySelector("textarea").focus();
    else draft.querySelector("[data-judges=edit]").focus();
  }

  // Where the focus goes once a draft has left the list, or has moved in it.
  function focusOn(id, at) {
    const drafts = [...document.querySelectorAll("#drafts [data-draft]")];
    const draft = drafts.find(({ dataset }) => dataset.draft === id) || drafts[Math.min(at, drafts.length - 1)];
    (draft?.querySelector("button") || byId("drafts-offer") || byId("drafts-dialog").querySelector("[data-closes]")).focus();
  }

  async function judge(draft, action, more = {}) {
    const id = draft.dataset.draft;
    const at = [...document.querySelectorAll("#drafts [data-draft]")].indexOf(draft);
    const buttons = [...draft.querySelectorAll("button")];
    buttons.forEach((one) => { one.disabled = true; });
    fail("");
    const answer = await engage.post(`draft-${action}`, { message_text_id: Number(id), was: textOf(draft), ...more });
    buttons.forEach((one) => { one.disabled = false; });
    if (answer.current) engage.segmentDraft.took(answer.current);
    if (!answer.ok) {
      fail(answer.text);
      byId("drafts-error").scrollIntoView({ block: "nearest" });
      return;
    }
    show(answer);
    say(answer.text);
    focusOn(id, at);
  }

  function pressed({ target }) {
    const action = target.closest("[data-judges]")?.dataset.judges;
    if (!action) return;
    const draft = draftOf(target);
    if (action === "edit" || action === "cancel") {
      draft.querySelector("textarea").value = textOf(draft);
      toggle(draft, action === "edit");
    } else if (action === "approve") {
      judge(draft, action, { messages: engage.segmentDraft.stored("messages") });
    } else {
      judge(draft, action);
    }
  }

  function edited(event) {
    event.preventDefault();
    event.stopPropagation();
    const draft = draftOf(event.target);
    judge(draft, "edit", { text: draft.querySelector("textarea").value });
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!byId("drafts-dialog")) return;
    byId("segments").addEventListener("click", ({ target }) => {
      const button = target.closest("[data-proposes]");
      if (button) open(button);
    });
    byId("drafts").addEventListener("click", pressed);
    byId("drafts").addEventListener("submit", edited);
    byId("drafts-form")?.addEventListener("submit", ask);
  });
  engage.segmentDrafts = { label };
})();
