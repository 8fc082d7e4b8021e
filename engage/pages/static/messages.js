// The list of messages: filters at once, details in a dialog, who is settled, and a download that must be a POST.
"use strict";

(() => {
  const form = document.getElementById("filters");

  // An address without the filters that let everything through.
  function filter() {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    engage.go(`messages?${query}`);
  }

  async function showDetail(link) {
    const dialog = document.getElementById("detail");
    const place = dialog.firstElementChild;
    place.replaceChildren();
    dialog.setAttribute("aria-label", "Message");
    dialog.showModal();
    try {
      const answer = await fetch(link.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok) {
        const why = page.querySelector("[role=alert]")?.textContent || `Airflow answered ${answer.status}.`;
        place.replaceChildren(`This message cannot be shown: ${why} Close this and try again.`);
        return;
      }
      const found = page.querySelector("article") || page.querySelector("main");
      const title = document.createElement("h2");
      title.textContent = found.dataset.title || "";
      dialog.setAttribute("aria-label", title.textContent || "Message");
      place.replaceChildren(title, found);
      engage.showTimes(place);
    } catch {
      place.replaceChildren("Airflow does not answer. Close this and try again.");
    }
  }

  // What a POST answers is a file.
  async function download(event) {
    const dialog = event.target.closest("#export");
    if (!dialog) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const fields = event.target;
    const output = fields.querySelector("output");
    event.submitter.disabled = true;
    output.textContent = "";
    try {
      const answer = await fetch(fields.action, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(Object.fromEntries(new FormData(fields))),
      });
      if (answer.ok) {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(await answer.blob());
        link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))[1];
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
        dialog.close();
        engage.toast("Downloaded. Airflow's audit log has recorded it.");
      } else {
        output.textContent = (await answer.json()).detail;
      }
    } catch {
      output.textContent = "Airflow does not answer, or the download broke off. Try again.";
    }
    event.submitter.disabled = false;
  }

  form?.addEventListener("change", (event) => event.target.matches("select") && filter());
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  document.addEventListener("submit", download, true);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-detail]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      showDetail(link);
    }
    const customer = event.target.closest("[data-customer]")?.dataset.customer;
    if (customer) {
      document.querySelector("#settle [name=customer_id]").value = customer;
      document.querySelector("#settle h2").textContent = `Settle the message to customer ${customer}`;
    }
  }, true);
})();
