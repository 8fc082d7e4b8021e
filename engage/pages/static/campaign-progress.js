// While messages go out: a report's steps and figures, looked at again every few seconds until all is done.
"use strict";

(() => {
  const SPAN_MS = 10_000; // the rate is that of the last ten seconds
  const SLOWLY = 5; // after an error
  const seen = []; // how many messages had gone, and when

  function address(part) {
    const url = new URL(part.dataset.address, window.location.href);
    const now = performance.now();
    seen.push({ at: now, gone: Number(part.dataset.gone) });
    while (seen.length > 2 && now - seen[0].at > SPAN_MS) seen.shift();
    url.searchParams.set("gone", seen[0].gone);
    url.searchParams.set("seconds", Math.round((now - seen[0].at) / 100) / 10);
    return url;
  }

  // The focus stays at the same link.
  function replace(part, fresh) {
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.replaceWith(fresh);
    engage.showTimes(fresh);
    if (focused) [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  async function look() {
    const part = document.getElementById("progress");
    if (document.hidden) return again(part);
    try {
      const answer = await fetch(address(part));
      if (!answer.ok) return again(part, SLOWLY);
      const outline = document.createElement("template");
      outline.innerHTML = await answer.text();
      const fresh = outline.content.getElementById("progress");
      if (!fresh.dataset.again) return engage.toastAfterReload("The campaign has moved on.");
      replace(part, fresh);
      again(fresh);
    } catch {
      again(part, SLOWLY);
    }
  }

  function again(part, times = 1) {
    setTimeout(look, 1000 * times * Number(part.dataset.again));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const part = document.getElementById("progress");
    if (part?.dataset.again) again(part);
  });
})();
