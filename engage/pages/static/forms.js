// Forms that post JSON. An error stands at its field or in the form; a success is a toast.
// It loads before the page's body: a form that the browser sent itself would put what was typed in an address.
"use strict";

(() => {
  // Other scripts show an answer, and load after the body.
  const loaded = new Promise((done) => { document.addEventListener("DOMContentLoaded", done, { once: true }); });

  // { ok, text, go, undo, errors }: errors are sentences by the name of a field.
  async function post(action, body) {
    try {
      const answer = await fetch(action, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const { detail, ...more } = await answer.json().catch(() => ({}));
      return { ok: answer.ok, text: typeof detail === "string" ? detail : `Airflow answered ${answer.status}.`, ...more };
    } catch {
      return { ok: false, text: "Airflow does not answer. Reload the page to see whether anything changed." };
    }
  }

  function showErrors(form, errors = {}) {
    [...form.elements].filter((field) => field.name).forEach((field) => {
      const place = document.getElementById(`${field.id}-error`);
      const text = errors[field.name] || "";
      if (text) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
      if (place) place.textContent = text;
    });
    form.querySelector("[aria-invalid]")?.focus();
  }

  function succeed(form, answer) {
    form.closest("dialog")?.close();
    if (answer.go && answer.text) engage.toastLater(answer.text);
    if (answer.go) engage.go(answer.go);
    else if ("reload" in form.dataset) engage.toastAfterReload(answer.text, { undo: answer.undo });
    else if (answer.text) engage.toast(answer.text, { undo: answer.undo });
    form.dispatchEvent(new CustomEvent("engage:posted", { detail: answer, bubbles: true }));
  }

  async function submit(event) {
    const form = event.target.closest("form[data-post]");
    if (!form) return;
    event.preventDefault();
    const button = event.submitter || form.querySelector("[type=submit]");
    const output = form.querySelector("output");
    button.disabled = true;
    await loaded;
    const answer = await post(form.action, Object.fromEntries(new FormData(form)));
    button.disabled = false;
    showErrors(form, answer.errors);
    if (output) output.textContent = answer.ok || answer.errors ? "" : answer.text;
    if (answer.ok) succeed(form, answer);
  }

  document.addEventListener("submit", submit);
  Object.assign(engage, { post, showErrors });
})();
