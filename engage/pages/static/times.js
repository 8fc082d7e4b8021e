// Shows times in the zone that the user has chosen in Airflow, and counts down to the next run.
"use strict";

(() => {
  const MINUTE_MS = 60_000;
  const DAY = { day: "numeric", month: "short", year: "numeric" };
  const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const FORMS = {
    moment: { ...DAY, ...CLOCK, timeZoneName: "short" },
    second: { ...DAY, ...CLOCK, second: "2-digit", timeZoneName: "short" },
    clock: { ...CLOCK, second: "2-digit", timeZoneName: "short" },
    date: DAY,
  };

  // Airflow keeps the choice as JSON; without one it takes the browser's zone.
  function zone() {
    try {
      const chosen = JSON.parse(localStorage.getItem("timezone"));
      if (chosen) return new Intl.DateTimeFormat("en-US", { timeZone: chosen }).resolvedOptions().timeZone;
    } catch {
      // a zone that this browser does not know
    }
    return Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  // As engage/formats.py writes them: 26 Nov 2026, 14:08 UTC.
  function text(moment, form) {
    const parts = new Intl.DateTimeFormat("en-US", { ...FORMS[form], timeZone: zone() }).formatToParts(moment);
    const part = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
    const day = part.year && `${part.day} ${part.month} ${part.year}`;
    const clock = part.hour && `${[part.hour, part.minute, part.second].filter(Boolean).join(":")} ${part.timeZoneName}`;
    return [day, clock].filter(Boolean).join(", ");
  }

  function show(root = document) {
    root.querySelectorAll("time[data-form]").forEach((element) => {
      const moment = new Date(element.dateTime);
      element.textContent = text(moment, element.dataset.form);
      element.title = `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    });
  }

  // As duration() of engage/formats.py writes it, to the minute.
  function duration(ms) {
    const minutes = Math.max(0, Math.floor(ms / MINUTE_MS));
    const hours = Math.floor(minutes / 60);
    if (hours >= 48) return `${Math.floor(hours / 24)} days`;
    if (hours) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return minutes ? `${minutes} min` : "less than a minute";
  }

  // The server's clock counts, not this machine's: time goes on from what the server wrote.
  function countDown() {
    const opened = performance.now();
    document.querySelectorAll("[data-seconds]").forEach((element) => {
      const left = Number(element.dataset.seconds) * 1000;
      setInterval(() => { element.textContent = duration(left - (performance.now() - opened)); }, MINUTE_MS / 2);
    });
  }

  engage.showTimes = show;
  window.addEventListener("storage", (event) => event.key === "timezone" && show());
  document.addEventListener("DOMContentLoaded", () => {
    show();
    countDown();
  });
})();
