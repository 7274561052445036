// Forms with a file (`data-send`) are sent with their progress shown; then the browser goes where the form leads, or what
// is wrong is shown above it. Other scripts send a file by the same form with a `gristmill:send` event, and hear by
// `gristmill:unsent` that it did not arrive. Without this the form is sent as any other.
"use strict";
(() => {
  for (const form of document.querySelectorAll("form[data-send]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form, new FormData(form));
    });
    form.addEventListener("gristmill:send", (event) => {
      const body = new FormData();
      body.append("file", event.detail, event.detail.name);
      send(form, body);
    });
  }

  function send(form, body) {
    const words = form.dataset;
    const button = form.querySelector("button");
    const shown = form.querySelector("[data-sending]");
    const progress = shown.querySelector("progress");
    const state = shown.querySelector("[data-state]");
    const file = body.get("file");
    shown.hidden = false;
    if (file && words.maxBytes && file.size > Number(words.maxBytes)) {
      progress.hidden = true;
      state.textContent = words.wordTooLarge;
      form.dispatchEvent(new CustomEvent("gristmill:unsent"));
      return;
    }
    progress.hidden = false;
    button.disabled = true;
    const ended = (text) => {
      button.disabled = false;
      progress.hidden = true;
      state.textContent = text;
      form.dispatchEvent(new CustomEvent("gristmill:unsent"));
    };
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "text/html");
    request.responseType = "document";
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.floor((100 * event.loaded) / event.total);
      progress.value = percent;
      state.textContent = words.wordSending.replace("{}", percent);
    });
    request.addEventListener("load", () => {
      if (request.status === 200) {
        location.assign(request.responseURL);
        return;
      }
      const told = request.response && request.response.querySelector(".note.bad");
      const place = document.getElementById("told");
      if (told && place) place.replaceChildren(document.importNode(told, true));
      ended(told && place ? "" : words.wordBroken);
      shown.hidden = Boolean(told && place);
    });
    request.addEventListener("error", () => ended(words.wordBroken));
    request.send(body);
  }
})();
