// Buttons that open and close dialogs.
"use strict";

document.addEventListener("click", (event) => {
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens).showModal();
  event.target.closest("[data-closes]")?.closest("dialog").close();
});
