// Starts Swagger UI on the document of this daemon, in the theme that was chosen here, or else that of the system.
"use strict";
const chosen = /(?:^|; )theme=(light|dark)/.exec(document.cookie);
const system = matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const dark = chosen ? chosen[1] === "dark" : system.matches;
  document.documentElement.classList.toggle("dark-mode", dark);
};
system.addEventListener("change", paint);
paint();
window.ui = SwaggerUIBundle({
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
