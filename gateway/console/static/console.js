// Additions for browsers with scripts. Every page works without them.
"use strict";

// A part with data-live="/console/…" is replaced by the same part of that page when the server says that it changed, and
// with it the parts that name it in data-with. What names it in data-after, such as a form, is replaced at the end alone.
// What a reader has opened stays open. A page that nobody looks at has no stream, and a part in which somebody writes
// stays as it is.
function follow(part) {
  let source = null;
  let seen = "";
  const close = () => {
    source?.close();
    source = null;
  };
  const left = () => {
    close();
    document.removeEventListener("visibilitychange", turned);
  };
  const turned = () => (document.hidden ? close() : open());
  const named = (how) => document.querySelectorAll(`[data-${how}~="${part.id}"]`);
  const renew = async (...parts) => {
    const headers = { accept: "text/html", "lgsp-live": "1" };
    const answer = await fetch(location.href, { credentials: "same-origin", headers });
    if (!answer.ok || answer.redirected) return left();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const each of parts) {
      const fresh = page.getElementById(each.id);
      const writing = each.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
      for (const table of fresh?.querySelectorAll(".scroll table") ?? []) stack(table);
      const opened = new Set([...each.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
      for (const one of fresh?.querySelectorAll("details > summary") ?? []) {
        if (opened.has(one.textContent)) one.parentElement.open = true;
      }
      if (fresh && !writing && fresh.innerHTML !== each.innerHTML) each.replaceChildren(...fresh.childNodes);
    }
  };
  let busy = false;
  let next = null;
  const look = async (...hows) => { // one answer after the other: a late one would put back what was
    next = hows;
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const parts = next.flatMap((how) => [...named(how)]);
        next = null;
        await renew(part, ...parts);
      }
    } finally {
      busy = false;
    }
  };
  const changed = (event) => {
    seen = event.lastEventId;
    return look("with");
  };
  const ended = () => {
    left();
    return look("with", "after");
  };
  const open = () => {
    if (source) return;
    source = new EventSource(part.dataset.live + (seen ? `?seen=${seen}` : ""));
    source.addEventListener("changed", changed);
    source.addEventListener("end", ended);
  };
  addEventListener("pagehide", close);
  document.addEventListener("visibilitychange", turned);
  turned();
}
document.querySelectorAll("[data-live]").forEach(follow);

// A page that is open for a time is left when the time is over.
for (const part of document.querySelectorAll("[data-ends]")) {
  setTimeout(() => location.replace(part.dataset.then), Number(part.dataset.ends) * 1000);
}

// On a phone a row of a table is a card: each cell stands under the heading of its column.
for (const table of document.querySelectorAll(".scroll table")) stack(table);
function stack(table) {
  const names = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
  if (names.length < 2 || table.closest(".matrix")) return;
  for (const row of [...(table.tBodies[0]?.rows ?? []), ...(table.tFoot?.rows ?? [])]) {
    let column = 0;
    for (const cell of row.cells) {
      cell.dataset.label = names[column] ?? "";
      column += cell.colSpan;
    }
  }
  table.classList.add("stacks");
}

// A file of text goes into its field: the form is sent the same way as if it was pasted.
for (const file of document.querySelectorAll("[data-fills]")) {
  file.closest("[data-with-scripts]").hidden = false;
  file.addEventListener("change", async () => {
    if (file.files[0] && file.files[0].size <= 65536) document.getElementById(file.dataset.fills).value = await file.files[0].text();
  });
}
