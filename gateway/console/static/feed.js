// A feed as it comes in. The table of the page gets each new event above the others, by EventSource.
// Without scripts the page is a list. A page that nobody looks at has no stream; it goes on where it stood.
"use strict";

const MOST = 200; // rows
const AGAIN = 5000; // milliseconds before a stream that was refused is asked for again
const TRIES = 12;
const DIGITS = new Intl.NumberFormat(document.documentElement.lang);

const part = document.getElementById("feed");
if (part?.dataset.feed) followFeed(part);

function followFeed(part) {
  const state = document.getElementById("feed-state");
  const body = part.querySelector("tbody");
  const seen = new Set([...body.rows].map((row) => Number(row.dataset.offset)));
  let source = null;
  let after = part.dataset.after;
  let refused = 0;

  const say = (name, kind) => {
    state.hidden = false;
    state.className = `notice ${kind}`;
    if (state.textContent !== state.dataset[name]) state.textContent = state.dataset[name];
    state.dataset.now = name;
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(`${part.dataset.feed}&after=${encodeURIComponent(after)}`);
    source.onopen = () => {
      refused = 0;
      say("open", "good");
    };
    source.onmessage = (message) => {
      after = message.lastEventId;
      const event = JSON.parse(message.data);
      if (seen.has(Number(event.sequence))) return; // the same event again, after a connection was lost
      seen.add(Number(event.sequence));
      body.prepend(rowOf(event));
      while (body.rows.length > MOST) body.lastElementChild.remove();
      document.getElementById("feed-empty")?.remove();
    };
    source.addEventListener("end", (message) => {
      after = message.lastEventId || after;
      const reason = JSON.parse(message.data).reason;
      if (reason !== "refused") return; // the browser connects again by itself
      close();
      say("refused", "bad");
    });
    source.onerror = () => {
      const ended = source?.readyState === EventSource.CLOSED; // by an answer that is no stream
      say("lost", "warn");
      if (!ended) return;
      close();
      if (++refused >= TRIES) return say("refused", "bad");
      setTimeout(open, AGAIN);
    };
  };
  addEventListener("pagehide", close);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}

function rowOf(event) {
  const row = document.getElementById("feed-row").content.firstElementChild.cloneNode(true);
  const at = (name) => row.querySelector(`[data-part="${name}"]`);
  const text = (value) => (typeof value === "string" ? value : "");
  row.dataset.offset = String(Number(event.sequence));
  at("offset").textContent = DIGITS.format(Number(event.sequence));
  at("time").textContent = local(text(event.sequencedtime));
  at("time").dateTime = text(event.sequencedtime);
  at("what").append(words("what", text(event.type).split(":").pop()) ?? words("what", "submitted"));
  if (event.tombstonereason) at("what").append(" ", code(text(event.tombstonereason)));
  at("subject").textContent = text(event.subject) || event.id;
  at("agency").append(words("agency", text(event.lgspagency)) ?? (text(event.lgspagency) || "–"));
  at("text").textContent = JSON.stringify(event, null, 2);
  return row;
}

function words(kind, name) {
  const known = [...document.querySelectorAll(`template[data-${kind}]`)].find((each) => each.dataset[kind] === name);
  return known?.content.cloneNode(true);
}

function code(text) {
  const made = document.createElement("code");
  made.textContent = text;
  return made;
}

// A time in Vietnam, as the pages write it.
function local(text) {
  const moment = Date.parse(text);
  if (Number.isNaN(moment)) return text;
  const [day, clock] = new Date(moment + 7 * 3600 * 1000).toISOString().slice(0, 19).split("T");
  const [year, month, date] = day.split("-");
  return document.documentElement.lang === "vi" ? `${date}/${month}/${year} ${clock}` : `${day} ${clock}`;
}
