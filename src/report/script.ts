/**
 * What a page does beyond what it is: it filters as one types where all rows are there, and takes in what changed without
 * being loaded anew. Without it everything works by forms and links.
 */
export const SCRIPT = `
"use strict";
(() => {
  const isFile = document.body.classList.contains("file");
  const form = () => document.querySelector("form.filters");
  const filterHere = () => {
    const wanted = Object.fromEntries(new FormData(form()));
    const name = (wanted.name || "").toLowerCase();
    let count = 0;
    const rows = document.querySelectorAll("tr[data-name]");
    for (const row of rows) {
      const { name: own, target, state, reason } = row.dataset;
      const fits = own.includes(name) && (!wanted.target || target === wanted.target) && (!wanted.state || state === wanted.state)
        && (!wanted.reason || reason.split(" ").includes(wanted.reason));
      row.hidden = !fits;
      if (fits) count += 1;
    }
    document.querySelector("p.count").textContent = count === rows.length ? count + " keys" : count + " of " + rows.length + " keys";
  };
  if (isFile && form()) {
    form().addEventListener("submit", (event) => { event.preventDefault(); filterHere(); });
    form().addEventListener("input", filterHere);
    return;
  }
  document.addEventListener("change", (event) => { if (event.target.matches("form.filters select")) event.target.form.requestSubmit(); });
  const events = new EventSource("/events");
  let seen = null;
  events.addEventListener("round", async ({ data }) => {
    if (seen === null || seen === data) { seen = data; return; }
    seen = data;
    const active = document.activeElement;
    const isTyping = active !== null && active.matches("input, select");
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const place of isTyping ? ["header", ".causes", ".timeline", "table"] : ["header", "main"]) {
      const [before, after] = [document.querySelector(place), fresh.querySelector(place)];
      if (before && after) before.replaceWith(after);
    }
  });
})();
`
