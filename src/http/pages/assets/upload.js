// Uploads from the page of uploads: files that are chosen, dropped anywhere on the page, or pasted, each on its own, with
// its progress and a way to try again. Each is sent as the form would send it alone; what comes back is the page that the
// form would lead to, and the part of it with the links is put into this one. Without this there is the form.
"use strict";
(() => {
  const form = document.getElementById("upload");
  const input = document.getElementById("files");
  const sending = document.getElementById("sending");
  const sendingList = document.getElementById("sending-list");
  const status = document.getElementById("sending-status");
  const uploaded = document.getElementById("uploaded");
  const uploadedList = document.getElementById("uploaded-list");
  const item = document.getElementById("sending-item");
  const words = form.dataset;
  const MOST_AT_ONCE = 2;
  const queue = [];
  let running = 0;

  for (const plain of form.querySelectorAll("[data-plain]")) plain.hidden = true;
  for (const scripted of form.querySelectorAll("[data-scripted]")) scripted.hidden = false;

  function add(files) {
    for (const file of files) {
      const row = item.content.firstElementChild.cloneNode(true);
      const picture = row.querySelector("img");
      picture.src = URL.createObjectURL(file);
      picture.addEventListener("error", () => { picture.classList.add("none"); });
      row.querySelector("[data-name]").textContent = file.name;
      row.querySelector("progress").setAttribute("aria-label", file.name);
      row.querySelector("[data-dismiss]").addEventListener("click", () => remove(row));
      row.querySelector("[data-again]").addEventListener("click", () => { begin(row, file); });
      sendingList.append(row);
      begin(row, file);
    }
    sending.hidden = sendingList.childElementCount === 0;
  }

  function begin(row, file) {
    row.querySelector("[data-again]").hidden = true;
    row.querySelector("[data-dismiss]").hidden = true;
    row.querySelector("progress").hidden = false;
    if (file.size > Number(words.maxBytes)) {
      fail(row, words.wordTooLarge, false);
      return;
    }
    queue.push(() => send(row, file));
    next();
  }

  function next() {
    while (running < MOST_AT_ONCE && queue.length > 0) {
      running += 1;
      queue.shift()().finally(() => { running -= 1; next(); });
    }
  }

  function send(row, file) {
    const state = row.querySelector("[data-state]");
    const progress = row.querySelector("progress");
    const body = new FormData();
    body.append("file", file, file.name);
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "text/html");
      request.responseType = "document";
      request.upload.addEventListener("progress", (event) => {
        if (!event.lengthComputable) return;
        const percent = Math.floor((100 * event.loaded) / event.total);
        progress.value = percent;
        state.textContent = `${percent}%`;
      });
      request.upload.addEventListener("load", () => {
        progress.removeAttribute("value");
        state.textContent = words.wordWorking;
      });
      request.addEventListener("load", () => { answered(row, request); resolve(); });
      request.addEventListener("error", () => { fail(row, words.wordBroken, true); resolve(); });
      request.addEventListener("timeout", () => { fail(row, words.wordBroken, true); resolve(); });
      request.send(body);
    });
  }

  function answered(row, request) {
    const page = request.response;
    const links = page ? [...page.querySelectorAll("#uploaded-list > li")] : [];
    if (request.status !== 200 || links.length === 0) {
      // The problem as the page tells it, in the language of the page.
      const told = page && (page.querySelector(".note.bad p") || page.querySelector("main h1"));
      fail(row, told ? told.textContent.trim() : words.wordBroken, request.status >= 500 || request.status === 429);
      return;
    }
    for (const link of links) {
      const placed = document.importNode(link, true);
      uploadedList.prepend(placed);
      placed.dispatchEvent(new CustomEvent("gristmill:added", { bubbles: true }));
    }
    uploaded.hidden = false;
    status.textContent = `${document.getElementById("uploaded-title").textContent}: ${row.querySelector("[data-name]").textContent}`;
    remove(row);
  }

  function fail(row, why, again) {
    row.classList.add("failed");
    row.querySelector("progress").hidden = true;
    const state = row.querySelector("[data-state]");
    state.textContent = why;
    row.querySelector("[data-again]").hidden = !again;
    row.querySelector("[data-dismiss]").hidden = false;
    status.textContent = `${row.querySelector("[data-name]").textContent}: ${why}`;
  }

  function remove(row) {
    URL.revokeObjectURL(row.querySelector("img").src);
    row.remove();
    sending.hidden = sendingList.childElementCount === 0;
  }

  input.addEventListener("change", () => {
    add([...input.files]);
    form.reset();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add([...input.files]);
    form.reset();
  });

  const holdsFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    document.body.classList.remove("dragging");
    add([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData ? [...event.clipboardData.files] : [];
    if (files.length === 0) return;
    event.preventDefault();
    add(files);
  });
})();
