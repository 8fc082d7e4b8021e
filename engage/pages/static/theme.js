// Before the page is drawn: Airflow's light or dark theme, and its colours, fonts and corners.
"use strict";

window.engage = {
  // Airflow's document, if this page is in its frame.
  frame: window.parent === window ? null : window.parent.document,
};

// Airflow itself keeps the choice here: "light", "dark" or "system".
function chosenTheme() {
  const root = engage.frame?.documentElement;
  if (root) return root.classList.contains("dark") ? "dark" : "light";
  const kept = localStorage.getItem("theme");
  return kept === "light" || kept === "dark" ? kept : "";
}

// The names of the properties that our own style sheets take from Airflow.
function wanted() {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  return new Set(rules.flatMap((rule) => rule.cssText.match(/--chakra-[\w-]+/g) || []));
}

function takeTheme() {
  const root = document.documentElement;
  root.dataset.theme = chosenTheme();
  if (engage.frame) {
    const theirs = window.parent.getComputedStyle(engage.frame.documentElement);
    wanted().forEach((name) => {
      const value = theirs.getPropertyValue(name);
      if (value) root.style.setProperty(name, value);
      else root.style.removeProperty(name);
    });
  }
  document.dispatchEvent(new Event("engage:theme"));
}

takeTheme();
if (engage.frame) {
  new MutationObserver(takeTheme).observe(engage.frame.documentElement, { attributes: true, attributeFilter: ["class"] });
} else {
  window.addEventListener("storage", takeTheme);
}
