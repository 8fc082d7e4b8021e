// Short messages about the result of an action, each with an undo if there is one.
"use strict";

(() => {
  const SHOWN_MS = 8000;
  const KEPT = "engage:toast";

  function button(label, kind, act) {
    const found = document.createElement("button");
    Object.assign(found, { type: "button", textContent: label, className: kind });
    found.addEventListener("click", act);
    return found;
  }

  // undo: { action, body, label }, a POST that takes the action back. A toast with one stays until it is closed.
  function toast(text, { tone = "success", undo } = {}) {
    const box = document.createElement("div");
    box.className = `toast tone-${tone}`;
    const line = document.createElement("p");
    line.textContent = text;
    const close = button("×", "plain", () => box.remove());
    close.setAttribute("aria-label", "Close");
    box.append(line, close);
    if (undo) {
      close.before(button(undo.label || "Undo", "", async () => {
        const answer = await engage.post(undo.action, undo.body);
        box.remove();
        if (answer.ok) toastAfterReload(answer.text);
        else toast(answer.text, { tone: "failed" });
      }));
    } else if (tone !== "failed") {
      setTimeout(() => !box.matches(":hover, :focus-within") && box.remove(), SHOWN_MS);
    }
    document.querySelector(".toasts [role=status]").append(box);
    return box;
  }

  // For an action after which another page is opened.
  function toastLater(text, options = {}) {
    sessionStorage.setItem(KEPT, JSON.stringify({ text, options }));
  }

  // For an action after which the page is loaded again.
  function toastAfterReload(text, options = {}) {
    toastLater(text, options);
    window.location.reload();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const kept = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    if (kept) {
      const { text, options } = JSON.parse(kept);
      toast(text, options);
    }
  });
  Object.assign(engage, { toast, toastAfterReload, toastLater });
})();
