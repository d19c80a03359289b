// Additions for browsers with scripts. Every page works without them.
"use strict";

// A part with data-live="/console/…" is replaced by the same part of that page when the server says that it changed, and
// with it the parts that name it in data-with. What names it in data-after, such as a form, is replaced at the end alone.
// What a reader has opened stays open. A page that nobody looks at has no stream, and a part in which somebody writes
// stays as it is. While the server has no place for a stream, or does not answer, the page says so and polls.
const POLL = 15000; // milliseconds
const SILENCE = 10000; // of a stream that has to connect again
function follow(part) {
  let source = null;
  let seen = "";
  let over = false; // the page does not change any more
  let streams = false;
  let poll = null;
  const said = document.getElementById("not-live");
  const close = () => {
    source?.close();
    source = null;
    streams = false;
  };
  const left = () => {
    over = true;
    close();
  };
  const turned = () => (document.hidden ? close() : open());
  const named = (how) => document.querySelectorAll(`[data-${how}~="${part.id}"]`);
  const renew = async (...parts) => {
    const headers = { accept: "text/html", "lgsp-live": "1" };
    const answer = await fetch(location.href, { credentials: "same-origin", headers });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
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
    let asked = hows;
    try {
      while (next) {
        asked = next;
        next = null;
        await renew(part, ...asked.flatMap((how) => [...named(how)]));
      }
      if (over || streams) alive();
    } catch { // signed out, or out of reach
      stale(0, asked);
    } finally {
      busy = false;
    }
  };
  const alive = () => {
    clearTimeout(poll);
    poll = null;
    said.hidden = true;
  };
  const begun = () => {
    streams = true;
    alive();
  };
  const broken = (after) => {
    streams = false;
    stale(after);
  };
  const stale = (after, hows = ["with"]) => {
    if (!after) said.hidden = false;
    poll ??= setTimeout(async () => {
      poll = null;
      said.hidden = false;
      if (document.hidden) return stale(POLL, hows);
      if (!over && (!source || source.readyState === EventSource.CLOSED)) {
        close();
        open();
      }
      await look(...hows);
      if (!said.hidden) stale(POLL, hows);
    }, after || POLL);
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
    if (source || over) return;
    source = new EventSource(part.dataset.live + (seen ? `?seen=${seen}` : ""));
    source.addEventListener("live", begun);
    source.addEventListener("later", () => broken(0));
    source.addEventListener("error", () => broken(SILENCE));
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
