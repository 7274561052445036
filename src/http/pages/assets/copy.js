// Buttons that copy what is in a field, and fields that are selected whole when they are entered. Without this the
// buttons are not there, and the field is copied by hand.
"use strict";
(() => {
  function show(root) {
    for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  }

  async function copy(button) {
    const field = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Not allowed where the page came without TLS: the old way still is.
      field.select();
      document.execCommand("copy");
    }
    const before = button.textContent;
    button.textContent = button.dataset.copied;
    button.disabled = true;
    setTimeout(() => { button.textContent = before; button.disabled = false; button.focus(); }, 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-select]")) event.target.select();
  });
  document.addEventListener("gristmill:live", (event) => show(event.target));
  document.addEventListener("gristmill:added", (event) => show(event.target));
  show(document);
})();
