// "Send to me": sends a text of the draft to a phone of the staff, and says what became of it.
"use strict";

(() => {
  const LOOKS = 90;
  const byId = (id) => document.getElementById(id);
  let wanted = null; // the text, with an id of its own, so that a second press sends nothing more

  function open(button) {
    const { sends, variant } = button.dataset;
    const segment = engage.segmentRows.nameOf(button.closest("[data-segment]"));
    wanted = { segment, variant, example: sends, test_send_id: engage.newId() };
    byId("test-text").textContent = `TEST ${button.closest("[data-text-of]").querySelector(".bubble").textContent}`;
    byId("test-dialog").querySelector("output").textContent = "";
    byId("test-dialog").showModal();
  }

  async function send(event) {
    event.preventDefault();
    event.stopPropagation(); // forms.js would send the fields of the dialog
    const dialog = byId("test-dialog");
    const button = dialog.querySelector("[type=submit]");
    button.disabled = true;
    const { test_send_id: id } = wanted;
    const { changes } = engage.segmentDraft;
    const window_start = byId("segments").dataset.window;
    const answer = await engage.post("send-test", { ...wanted, window_start, changes: changes(), to: byId("test-to").value });
    button.disabled = false;
    dialog.querySelector("output").textContent = answer.ok ? "" : answer.text;
    if (!answer.ok) return;
    dialog.close();
    follow(id, engage.toast(answer.text, { tone: "running" }));
  }

  // Looks until the message has arrived at the provider, or has not.
  async function follow(id, shown) {
    const answer = await engage.settled("test-send", { test_send_id: id }, { looks: LOOKS });
    shown.remove();
    const text = answer ? answer.text : "The test message still waits. The page Activity says what becomes of it.";
    engage.toast(text, { tone: answer?.sent ? "success" : "failed" });
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!byId("test-dialog")) return;
    byId("segments").addEventListener("click", ({ target }) => {
      const button = target.closest("[data-sends]");
      if (button) open(button);
    });
    byId("test-dialog").querySelector("form").addEventListener("submit", send);
  });
})();
