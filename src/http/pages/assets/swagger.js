// Starts Swagger UI on the document of this daemon, in the colours that were chosen, or else in those of the system.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    root.classList.toggle("dark-mode", dark);
  };
  system.addEventListener("change", paint);
  paint();
  // What Swagger UI leaves without a name, or out of the keyboard's reach, gets one as soon as it is there.
  const api = document.getElementById("api");
  const near = (element) => {
    const place = element.closest("tr, .parameters, .opblock-section, .responses-inner");
    const name = place && place.querySelector(".parameter__name, .response-col_status, h4, label");
    return name ? name.textContent.trim() : "";
  };
  const complete = () => {
    for (const button of api.querySelectorAll(".copy-to-clipboard button:not([aria-label])")) {
      button.setAttribute("aria-label", "Copy");
    }
    for (const field of api.querySelectorAll("textarea:not([aria-label]), select:not([aria-label])")) {
      field.setAttribute("aria-label", near(field) || "Value");
    }
    for (const code of api.querySelectorAll("pre:not([tabindex])")) code.tabIndex = 0;
  };
  new MutationObserver(complete).observe(api, { childList: true, subtree: true });
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#api",
    deepLinking: true,
    // No word of the document goes to a service of others.
    validatorUrl: null,
    queryConfigEnabled: false,
    persistAuthorization: false,
    displayRequestDuration: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    filter: true,
  });
})();
