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
      if (fresh && fresh.innerHTML !== each.innerHTML) each.replaceChildren(...fresh.childNodes);
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
