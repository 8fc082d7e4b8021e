// Links in a frame whose sandbox forbids new tabs and leaving it, and the outline of a page that is on its way.
"use strict";

(() => {
  const SKELETON_AFTER_MS = 150;
  const frame = engage.frame;
  const root = new URL("..", document.currentScript.src).href; // of all of our pages

  // Airflow's page around one of ours.
  function framed(url) {
    const base = new URL(frame.baseURI);
    return new URL(`plugin/engage${url.pathname}${url.search}${url.hash}`, base).href;
  }

  // The sandbox holds for links of this document only, so that a link inside Airflow's document may leave.
  function leave(href, { newTab = false } = {}) {
    const link = frame.createElement("a");
    link.href = href;
    if (newTab) Object.assign(link, { target: "_blank", rel: "noopener" });
    frame.body.append(link);
    link.click();
    link.remove();
  }

  function isOurs(link) {
    return link.href.startsWith(root);
  }

  function showSkeleton() {
    const outline = document.getElementById("loading").content.cloneNode(true);
    const main = document.getElementById("main");
    const before = [...main.childNodes];
    main.replaceChildren(outline);
    window.addEventListener("pageshow", () => main.replaceChildren(...before), { once: true }); // with "back"
  }

  function followTab(link) {
    if (!link.closest(".tabs")) return;
    document.querySelectorAll(".tabs [aria-current]").forEach((one) => one.removeAttribute("aria-current"));
    link.setAttribute("aria-current", "page");
  }

  function go(href) {
    if (frame && "inRun" in document.body.dataset) leave(framed(new URL(href, window.location.href)));
    else window.location.assign(href);
  }

  function opened(event) {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button > 1 || link.hasAttribute("download")) return;
    if (link.getAttribute("href").startsWith("#")) return;
    const newTab = event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
    const ours = isOurs(link);
    if (frame && (newTab || !ours || "inRun" in document.body.dataset)) {
      event.preventDefault();
      leave(ours ? framed(new URL(link.href)) : link.href, { newTab });
    } else if (ours && !newTab) {
      followTab(link);
      setTimeout(showSkeleton, SKELETON_AFTER_MS);
    }
  }

  document.addEventListener("click", opened);
  document.addEventListener("auxclick", opened);
  engage.go = go;
})();
