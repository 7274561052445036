// Sends the form that goes on with a long piece of work, a moment after the page has shown how far it is: time enough to
// stop it.
"use strict";
(() => {
  const form = document.querySelector("form[data-steps]");
  if (!form) return;
  const timer = setTimeout(() => form.requestSubmit(), 400);
  form.addEventListener("submit", () => clearTimeout(timer));
  for (const link of form.querySelectorAll("a")) link.addEventListener("click", () => clearTimeout(timer));
})();
