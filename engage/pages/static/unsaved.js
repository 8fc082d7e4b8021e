// Asks before a page with unsaved changes is left, in a dialog of ours: while the browser asks, links.js shows an outline.
"use strict";

(() => {
  // count(): how many changes are not saved. The answer has leave(), after which no question is asked.
  function askBeforeLeaving(count) {
    const byId = (id) => document.getElementById(id);
    let leaving = false;
    const unsaved = () => (leaving ? 0 : count());

    function warn(event) {
      if (unsaved()) event.preventDefault();
    }

    function follow(event) {
      const link = event.target.closest("a[href]");
      const sameTab = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey);
      if (!link || link.getAttribute("href").startsWith("#") || !sameTab || !unsaved()) return;
      event.preventDefault();
      event.stopPropagation();
      document.querySelectorAll("dialog[open]").forEach((one) => one.close());
      ask(() => link.click());
    }

    // Asks, and goes on if there is nothing to lose.
    function ask(goOn) {
      const number = unsaved();
      const leave = () => {
        leaving = true;
        goOn();
      };
      if (!number) return leave();
      byId("leave-count").textContent = `${number} ${number === 1 ? "change is" : "changes are"} not saved.`;
      byId("leave-now").onclick = leave;
      byId("leave-dialog").showModal();
      return undefined;
    }

    document.addEventListener("click", follow, true);
    if (engage.frame) { // whose own question the sandbox forbids
      window.parent.addEventListener("beforeunload", warn);
      window.addEventListener("pagehide", () => window.parent.removeEventListener("beforeunload", warn));
    } else {
      window.addEventListener("beforeunload", warn);
    }
    return { ask, leave: () => { leaving = true; } };
  }

  Object.assign(engage, { askBeforeLeaving });
})();
