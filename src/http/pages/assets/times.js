// Writes each instant of the page in the zone of whoever reads it. Without this it stands there in UTC.
"use strict";
(() => {
  const language = document.documentElement.lang;
  const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });

  function write(root) {
    for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const instant = new Date(element.dateTime);
      if (Number.isNaN(instant.getTime())) continue;
      element.title = element.textContent;
      element.textContent = full.format(instant);
      element.dataset.local = "";
    }
  }

  write(document);
  document.addEventListener("gristmill:live", (event) => write(event.target));
})();
