// Requests that a run answers later: an id for each press of a button, and looking until the answer is there.
"use strict";

(() => {
  const LOOK_MS = 700;

  // crypto.randomUUID exists only with TLS.
  function newId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // The first answer that is done or no answer at all; null if there is none after so many looks.
  async function settled(address, body, { looks, seen = () => {} }) {
    for (let look = 0; look < looks; look += 1) {
      await new Promise((done) => { setTimeout(done, LOOK_MS); });
      const answer = await engage.post(address, body);
      if (!answer.ok || answer.done) return answer;
      seen(answer);
    }
    return null;
  }

  Object.assign(engage, { newId, settled });
})();
