// Shows the customers whom a search has found, and languages by their names.
"use strict";

(() => {
  const results = document.getElementById("results");

  document.addEventListener("engage:posted", (event) => {
    const found = event.detail.html;
    if (!found) return;
    results.replaceChildren(...new DOMParser().parseFromString(found, "text/html").body.childNodes);
    document.getElementById("results-title").focus();
  });

  document.addEventListener("DOMContentLoaded", () => {
    const names = new Intl.DisplayNames(["en"], { type: "language" });
    document.querySelectorAll("[data-locale]").forEach((element) => {
      try {
        element.textContent = `${names.of(element.dataset.locale.replace("_", "-"))} (${element.dataset.locale})`;
      } catch {
        // not a language that this browser knows
      }
    });
  });
})();
