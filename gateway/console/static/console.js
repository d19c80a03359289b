// Additions for browsers with scripts. Every page works without them.
"use strict";

// A part with data-live="/console/…" is replaced by the same part of that page when the server says that it changed.
for (const part of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(part.dataset.live);
  source.addEventListener("changed", async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
    if (!answer.ok) return source.close();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(part.id);
    if (!fresh) return;
    for (const table of fresh.querySelectorAll(".scroll table")) stack(table);
    if (fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
  });
  source.addEventListener("end", () => source.close());
  addEventListener("pagehide", () => source.close());
}

// A page that is open for a time is left when the time is over.
for (const part of document.querySelectorAll("[data-ends]")) {
  setTimeout(() => location.replace(part.dataset.then), Number(part.dataset.ends) * 1000);
}

// A file of text goes into its field: the form is sent the same way as if it was pasted.
for (const file of document.querySelectorAll("[data-fills]")) {
  file.closest("[data-with-scripts]").hidden = false;
  file.addEventListener("change", async () => {
    if (file.files[0] && file.files[0].size <= 65536) document.getElementById(file.dataset.fills).value = await file.files[0].text();
  });
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
