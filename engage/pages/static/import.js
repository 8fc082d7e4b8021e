// Sends a file to be checked, and once more to be imported. The server keeps nothing between the two.
"use strict";

(() => {
  const form = document.getElementById("import");
  const place = document.getElementById("report");
  const drop = document.getElementById("drop");
  const input = form.elements.file;
  const working = document.getElementById("working");
  const progress = document.getElementById("progress");
  const output = form.querySelector("output");
  const NO_ANSWER = "Airflow does not answer, or the upload broke off. Check the file again: rows that are already in count as unchanged.";
  let sent = null; // what the report is about: { file, options }
  let rejected = null; // the rejected rows, a Blob of CSV
  let mapping = {}; // the fields that the user has chosen, by column; "" for a column that is not read
  let outdated = false; // whether the mapping is newer than the report
  let busy = false;

  function say(text) {
    output.textContent = text;
  }

  function show(what, percent) {
    document.getElementById("doing").textContent = what;
    if (percent === undefined) progress.removeAttribute("value");
    else progress.value = percent;
  }

  function setBusy(yes) {
    busy = yes;
    working.hidden = !yes;
    place.setAttribute("aria-busy", String(yes));
    [...form.elements, ...place.querySelectorAll("button, select")].forEach((one) => { one.disabled = yes; });
    place.querySelectorAll("[data-apply]").forEach((one) => { one.disabled = yes || outdated; });
  }

  // An answer is a report in JSON, and after it the rejected rows. A header says where the report ends.
  async function parted(request) {
    const length = Number(request.getResponseHeader("Engage-Report-Bytes")) || request.response.size;
    const report = await request.response.slice(0, length).text();
    try {
      return { ...JSON.parse(report), rest: request.response.slice(length) };
    } catch {
      return { detail: `Airflow answered ${request.status}.` };
    }
  }

  // { ok, detail, html, rest }. A request of this kind reports the progress of the upload; fetch() does not.
  function send(address, { file, options }, then) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const failed = () => resolve({ ok: false, detail: NO_ANSWER });
      request.open("POST", address);
      request.responseType = "blob";
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.setRequestHeader("Engage-Import", encodeURIComponent(JSON.stringify(options)));
      request.upload.addEventListener("progress", (event) => {
        const percent = Math.floor((100 * event.loaded) / event.total);
        show(`Uploading: ${percent}%`, percent);
      });
      request.upload.addEventListener("load", () => show(then));
      request.addEventListener("error", failed);
      request.addEventListener("load", async () => {
        const found = await parted(request);
        resolve({ ...found, ok: request.status === 200 });
      });
      show("Uploading");
      request.send(file);
    });
  }

  async function run(address, what, then) {
    if (busy) return;
    setBusy(true);
    say("");
    working.scrollIntoView({ block: "nearest" });
    const answer = await send(address, what, then);
    setBusy(false);
    if (!answer.ok) {
      say(answer.detail);
      output.scrollIntoView({ block: "nearest" });
      return;
    }
    sent = what;
    rejected = answer.rest;
    outdated = false;
    place.replaceChildren(...new DOMParser().parseFromString(answer.html, "text/html").body.childNodes);
    document.getElementById("formats").hidden = true;
    document.getElementById("report-title").focus();
  }

  function chosen() {
    const { file: _, ...options } = Object.fromEntries(new FormData(form));
    const [file] = input.files;
    return { file, options: { ...options, file: file.name.slice(-200), columns: mapping } };
  }

  function check() {
    const [file] = input.files;
    const most = Number(form.dataset.most);
    const large = file.size > most;
    document.getElementById("file-error").textContent = large
      ? `The file has ${Math.ceil(file.size / 1e6)} MB, and this page takes at most ${most / 1e6}. Load it with engage import, or in parts.`
      : "";
    input.setAttribute("aria-invalid", String(large));
    if (large) input.focus();
    else run(form.action, chosen(), "Checking the rows");
  }

  function remap(event) {
    mapping = { ...mapping, [event.target.dataset.column]: event.target.value };
    outdated = true;
    place.querySelectorAll("[data-apply]").forEach((one) => { one.disabled = true; });
    place.querySelectorAll("[data-changed]").forEach((one) => { one.hidden = false; });
  }

  // A report about another file, or by other choices, is not shown.
  function forget(event) {
    if (!event.target.matches("#country, #event_type, #decimal")) mapping = {};
    place.replaceChildren();
    say("");
    showKind();
  }

  function showKind() {
    const kind = new FormData(form).get("kind");
    document.getElementById("formats").hidden = Boolean(place.firstChild);
    document.querySelectorAll("[data-kind]").forEach((one) => { one.hidden = one.dataset.kind !== kind; });
  }

  function save(name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(rejected);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    check();
  });
  form.addEventListener("change", forget);
  place.addEventListener("change", remap);
  place.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("again" in button.dataset) check();
    if ("apply" in button.dataset) run(form.dataset.applies, sent, "Importing the rows");
    if ("rejected" in button.dataset) save(button.dataset.rejected);
  });

  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("over")));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (busy || !event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    forget(event);
  });
  ["dragover", "drop"].forEach((name) => document.addEventListener(name, (event) => event.preventDefault())); // beside it

  const names = new Intl.DisplayNames(["en"], { type: "region" });
  const options = [...form.elements.country.options].slice(1);
  options.forEach((one) => { one.text = names.of(one.value); });
  options.sort((one, other) => one.text.localeCompare(other.text)).forEach((one) => form.elements.country.append(one));
  showKind();
})();
