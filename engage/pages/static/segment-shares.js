// Shares of the customers, such as "lowest 20%": how they are written, chosen and shown.
"use strict";

(() => {
  const SHARE = /^\s*(lowest|highest)\s+([0-9.]+)\s*(%?)\s*$/i;
  const KINDS = [
    ["lowest %", "lowest %"],
    ["highest %", "highest %"],
    ["lowest", "lowest count"],
    ["highest", "highest count"],
  ];
  const FIRST = { "lowest %": "20", "highest %": "10" };

  const plain = (amount) => (amount.trim() !== "" && Number.isFinite(Number(amount)) ? String(Number(amount)) : amount.trim());

  // A text as its kind and its amount; the kind of a number is empty.
  function split(text) {
    const [, side, amount, percent] = SHARE.exec(text) || [];
    return side ? { kind: `${side.toLowerCase()}${percent ? " %" : ""}`, amount: plain(amount) } : { kind: "", amount: text.trim() };
  }

  // The text of a kind and an amount.
  function join(kind, amount) {
    const [side, percent = ""] = kind.split(" ");
    return kind ? `${side} ${plain(amount)}${percent}` : amount.trim();
  }

  const isPercent = (kind) => kind.endsWith("%");

  // What an amount begins with when its kind is chosen.
  const first = (kind, customers) => FIRST[kind] || String(Math.max(1, Math.round(customers / 10)));

  // Puts what the server says of a share at its place. A mistake or a number has none.
  function show(place, found) {
    const lines = found ? [["hint", found.words], ["warned", found.note]].filter(([, text]) => text) : [];
    place.replaceChildren(...lines.map(([className, textContent]) => Object.assign(document.createElement("p"), { className, textContent })));
  }

  engage.segmentShares = { KINDS, split, join, isPercent, first, show };
})();
