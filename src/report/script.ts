/**
 * What a page does beyond what it is. In a file, where every key is at hand, it filters and pages them; a page of the agent
 * takes in what a round has changed. Without it the agent's pages work by forms and links, and a file shows every key.
 */
export const SCRIPT = `
"use strict";
(() => {
  const find = (selector) => document.querySelector(selector);
  const form = () => find("form.filters");

  const filterFile = () => {
    const PAGE_ROWS = 100;
    const rows = [...document.querySelectorAll("tr[data-name]")];
    let fitting = rows;
    let page = 0;
    const show = () => {
      const size = form().elements.week.value === "" ? PAGE_ROWS : rows.length;
      const pages = Math.max(Math.ceil(fitting.length / size), 1);
      page = Math.min(Math.max(page, 0), pages - 1);
      const shown = new Set(fitting.slice(page * size, (page + 1) * size));
      for (const row of rows) if (row.hidden === shown.has(row)) row.hidden = !row.hidden;
      const keys = rows.length === 1 ? " key" : " keys";
      const counted = fitting.length === rows.length ? rows.length + keys : fitting.length + " of " + rows.length + keys;
      find("p.count").textContent = counted + (pages === 1 ? "" : ", page " + (page + 1) + " of " + pages);
      find("nav.pages").hidden = pages === 1;
      for (const button of document.querySelectorAll("nav.pages button")) {
        const to = page + Number(button.dataset.step);
        button.disabled = to < 0 || to >= pages;
      }
    };
    const filter = () => {
      const wanted = Object.fromEntries(new FormData(form()));
      const name = wanted.name.toLowerCase();
      fitting = rows.filter(({ dataset }) =>
        dataset.name.includes(name)
        && ["target", "state", "week"].every((word) => wanted[word] === "" || dataset[word] === wanted[word])
        && (wanted.reason === "" || dataset.reason.split(" ").includes(wanted.reason))
        && (wanted.region === "" || dataset.region.split(" ").includes(wanted.region)));
      page = 0;
      show();
    };
    const setForm = (query) => {
      for (const field of form().elements) {
        if (field.name === "") continue;
        field.value = query.get(field.name) ?? "";
        if (field.name === "week" || field.name === "region") field.parentElement.hidden = field.value === "";
      }
      filter();
    };
    const follow = () => {
      const { hash } = location;
      if (hash.startsWith("#?")) {
        setForm(new URLSearchParams(hash.slice(2)));
        find("#keys").scrollIntoView();
      }
      const row = hash.startsWith("#key-") ? document.getElementById(hash.slice(1)) : null;
      if (row === null || !row.hidden) return;
      setForm(new URLSearchParams());
      page = Math.floor(rows.indexOf(row) / PAGE_ROWS);
      show();
      row.scrollIntoView();
    };
    form().addEventListener("submit", (event) => { event.preventDefault(); filter(); });
    form().addEventListener("input", filter);
    find("nav.pages").addEventListener("click", ({ target }) => {
      if (target.dataset.step === undefined) return;
      page += Number(target.dataset.step);
      show();
      find("#keys").scrollIntoView();
    });
    addEventListener("hashchange", follow);
    show();
    follow();
  };

  /** What one can find an element by on the page that takes its place. */
  const addressOf = (element) =>
    element === null ? null
      : element.id ? "#" + CSS.escape(element.id)
      : element.name ? '[name="' + CSS.escape(element.name) + '"]'
      : element.getAttribute("href") ? '[href="' + CSS.escape(element.getAttribute("href")) + '"]'
      : null;

  const takeIn = async () => {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (fresh.querySelector("main") === null) return;
    const active = document.activeElement;
    const address = addressOf(active);
    const isTyping = active !== null && active.matches("form.filters *");
    // what somebody types or chooses is left alone
    const filters = form();
    const open = [...document.querySelectorAll("details[open]")].length > 0;
    for (const place of ["header", "main"]) find(place).replaceWith(fresh.querySelector(place));
    if (isTyping && form() !== null) form().replaceWith(filters);
    if (open) for (const details of document.querySelectorAll("details")) details.open = true;
    if (address !== null && document.activeElement !== active) find(address)?.focus({ preventScroll: true });
    if (isTyping) active.focus({ preventScroll: true });
  };

  if (document.body.classList.contains("file")) {
    if (form() !== null) filterFile();
    return;
  }
  document.addEventListener("change", ({ target }) => {
    if (target.matches("form.filters select")) target.form.requestSubmit();
  });
  // fields that say nothing would only lengthen the address
  document.addEventListener("submit", ({ target }) => {
    for (const field of target.elements) if (field.value === "") field.disabled = true;
    setTimeout(() => { for (const field of target.elements) field.disabled = false; });
  });
  const events = new EventSource("/events");
  events.addEventListener("round", ({ data }) => {
    find("p.live").hidden = true;
    if (data !== find("main").dataset.run) takeIn().catch(() => undefined);
  });
  events.addEventListener("error", () => { find("p.live").hidden = false; });
})();
`
