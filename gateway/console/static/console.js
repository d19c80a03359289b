// Additions for browsers with scripts. Every page works without them.
"use strict";

// A part with data-live="/console/…" is replaced by the same part of that page when the server says that it changed, and
// with it the parts that name it in data-with. What names it in data-after, such as a form, is replaced at the end alone.
for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  const named = (how) => document.querySelectorAll(`[data-${how}="${part.id}"]`);
  const renew = async (...parts) => {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
    if (!answer.ok) return source.close();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const each of parts) {
      const fresh = page.getElementById(each.id);
      if (!fresh) continue;
      for (const table of fresh.querySelectorAll(".scroll table")) stack(table);
      if (fresh.innerHTML !== each.innerHTML) each.replaceChildren(...fresh.childNodes);
    }
  };
  source.addEventListener("changed", () => renew(part, ...named("with")));
  source.addEventListener("end", () => {
    source.close();
    renew(part, ...named("with"), ...named("after"));
  });
  addEventListener("pagehide", () => source.close());
}

// A page that is open for a time is left when the time is over.
for (const part of document.querySelectorAll("[data-ends]")) {
  setTimeout(() => location.replace(part.dataset.then), Number(part.dataset.ends) * 1000);
}

// On a phone a row of a table is a card: each cell stands under the heading of its column.
for (const table of document.querySelectorAll(".scroll table")) stack(table);
function stack(table) {
  const names = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
  if (names.length < 2 || table.closest(".matrix")) return;
  for (const row of table.tBodies[0]?.rows ?? []) {
    let column = 0;
    for (const cell of row.cells) {
      cell.dataset.label = names[column] ?? "";
      column += cell.colSpan;
    }
  }
  table.classList.add("stacks");
}
