// Keeps the page up to date. The daemon tells by server-sent events that something changed (`data-live-source` of the
// body), or the page looks by itself every so many seconds (`data-live-every`). It then fetches itself, at most once a
// second, and replaces each element with `data-live` whose newer form differs. What has the focus is left alone, ticked
// boxes stay ticked, and what is folded out stays so. While nobody sees the page, nothing is heard and nothing fetched: a
// browser has few connections for a host, and pages in the background would take them all.
"use strict";
(() => {
  const { liveSource, liveEvery } = document.body.dataset;
  if (!liveSource && !liveEvery) return;

  const PAUSE = 1000;
  const REOPEN = 3000;
  const EVENTS = ["created", "started", "progress", "completed", "failed", "retrying", "cancelled", "deleted", "message"];
  const seen = new Map();
  let wanted = false;
  let busy = false;
  let last = 0;
  let skipped = false;
  let source = null;

  for (const element of document.querySelectorAll("[data-live][id]")) seen.set(element.id, element.outerHTML);

  function ask() {
    wanted = true;
    if (busy || document.hidden) return;
    busy = true;
    setTimeout(refresh, Math.max(0, last + PAUSE - Date.now()));
  }

  async function refresh() {
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      const type = answer.headers.get("content-type") || "";
      // What is there now is no page, or another one: gone, finished, or behind the login.
      if (answer.redirected || !type.startsWith("text/html") || answer.status === 404 || answer.status === 409) {
        location.reload();
        return;
      }
      if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The daemon is away for a moment: the next event, or look, tries again.
    }
    last = Date.now();
    busy = false;
    if (wanted) ask();
  }

  function replace(page) {
    skipped = false;
    for (const old of document.querySelectorAll("[data-live][id]")) {
      // What is not live any more in its newer form is put there this once, and stays.
      const fresh = page.getElementById(old.id);
      const html = fresh && fresh.outerHTML;
      if (!fresh || seen.get(fresh.id) === html) continue;
      if (old.contains(document.activeElement)) {
        skipped = true;
        continue;
      }
      seen.set(fresh.id, html);
      keepChoices(old, fresh);
      const placed = document.importNode(fresh, true);
      old.replaceWith(placed);
      placed.dispatchEvent(new CustomEvent("gristmill:live", { bubbles: true }));
    }
  }

  function keepChoices(old, fresh) {
    for (const box of old.querySelectorAll("input[type=checkbox]:checked")) {
      const same = [...fresh.querySelectorAll("input[type=checkbox]")];
      const again = same.find((other) => other.name === box.name && other.value === box.value);
      if (again) again.setAttribute("checked", "");
    }
    for (const open of old.querySelectorAll("details[open][id]")) {
      const again = fresh.querySelector(`#${CSS.escape(open.id)}`);
      if (again) again.setAttribute("open", "");
    }
  }

  function hear() {
    if (!liveSource || source || document.hidden) return;
    const opened = new EventSource(liveSource);
    source = opened;
    for (const name of EVENTS) opened.addEventListener(name, ask);
    // What happened while nothing was heard.
    opened.addEventListener("open", ask);
    opened.addEventListener("error", () => {
      // A browser tries again by itself unless what answered was no stream, such as the 503 of a proxy.
      if (source !== opened || opened.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(() => { hear(); ask(); }, REOPEN);
    });
  }

  function rest() {
    if (source) source.close();
    source = null;
  }

  hear();
  if (liveEvery) setInterval(ask, Number(liveEvery) * 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      rest();
      return;
    }
    hear();
    ask();
  });
  // A page that is left may be kept for the way back, with its connection.
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => { if (event.persisted) { hear(); ask(); } });
  document.addEventListener("focusout", () => { if (skipped) ask(); });
})();
