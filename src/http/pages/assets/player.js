// The drawing of a recording follows its player: what was played is coloured, and a click goes there. The player itself
// needs no script.
"use strict";
(() => {
  function join(root) {
    const wave = root.querySelector("[data-wave]");
    const audio = root.querySelector("audio");
    if (!wave || !audio || "ready" in wave.dataset) return;
    const played = wave.querySelector(".played");
    wave.dataset.ready = "";
    const draw = () => {
      const part = audio.duration > 0 ? audio.currentTime / audio.duration : 0;
      played.style.clipPath = `inset(0 ${100 - 100 * part}% 0 0)`;
      if (!audio.paused) requestAnimationFrame(draw);
    };
    for (const name of ["play", "pause", "seeked", "timeupdate", "ended"]) audio.addEventListener(name, draw);
    wave.addEventListener("click", (event) => {
      if (!(audio.duration > 0)) return;
      const box = wave.getBoundingClientRect();
      audio.currentTime = audio.duration * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    });
  }

  document.addEventListener("gristmill:live", (event) => join(event.target));
  join(document);
})();
