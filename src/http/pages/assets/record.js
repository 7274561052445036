// Records from the microphone: samples come from `samples.js`, are kept as 16-bit WAV, and are sent by the form for files.
// A take ends by itself when it is as large as may be sent, and is kept until it has arrived or is thrown away.
"use strict";
(() => {
  const box = document.getElementById("recorder");
  const form = document.querySelector("form[data-send]");
  if (!box || !form || !navigator.mediaDevices || !window.AudioWorkletNode) {
    if (box) { box.hidden = false; tell(box.dataset.wordRefused); box.querySelector("[data-start]").disabled = true; }
    return;
  }
  const start = box.querySelector("[data-start]");
  const stop = box.querySelector("[data-stop]");
  const drop = box.querySelector("[data-drop]");
  const again = box.querySelector("[data-again]");
  const running = box.querySelector("[data-running]");
  const time = box.querySelector("[data-time]");
  const meter = box.querySelector("meter");
  const HEAD = 44;
  // The sizes in the header have 32 bits.
  const most = Math.min(Number(form.dataset.maxBytes) || Infinity, 0xffffffff);
  let take = null;
  let kept = null;
  box.hidden = false;

  function tell(text) { box.querySelector("[data-state]").textContent = text; }

  start.addEventListener("click", async () => {
    tell("");
    start.disabled = true;
    try {
      take = await begin();
      show("recording");
      tell(box.dataset.wordRecording);
      stop.focus();
    } catch {
      tell(box.dataset.wordRefused);
    }
    start.disabled = false;
  });
  stop.addEventListener("click", () => { end(""); });
  again.addEventListener("click", send);
  drop.addEventListener("click", async () => {
    kept = null;
    await finish();
    show("idle");
    start.focus();
  });
  form.addEventListener("gristmill:unsent", () => {
    if (!kept) return;
    show("unsent");
    again.focus();
  });

  async function end(why) {
    const wav = await finish();
    if (!wav) return;
    const name = `${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.wav`;
    kept = new File([wav], name, { type: "audio/wav" });
    tell(why);
    send();
  }

  function send() {
    show("sending");
    form.dispatchEvent(new CustomEvent("gristmill:send", { detail: kept }));
  }

  async function begin() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule(box.dataset.samples);
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw error;
    }
    const node = new AudioWorkletNode(context, "samples", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const blocks = [];
    let frames = 0;
    let full = false;
    let ended;
    const all = new Promise((resolve) => { ended = resolve; });
    node.port.onmessage = ({ data }) => {
      if (data === null) { ended(); return; }
      if (full) return;
      if (HEAD + 2 * (frames + data.length) > most) {
        full = true;
        end(box.dataset.wordFull);
        return;
      }
      const block = new Int16Array(data.length);
      let loudest = 0;
      for (let at = 0; at < data.length; at += 1) {
        const sample = Math.max(-1, Math.min(1, data[at]));
        loudest = Math.max(loudest, Math.abs(sample));
        block[at] = Math.round(sample * 32767);
      }
      blocks.push(block);
      frames += block.length;
      meter.value = loudest;
      const seconds = Math.floor(frames / context.sampleRate);
      time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    context.createMediaStreamSource(stream).connect(node);
    return { stream, context, node, blocks, all };
  }

  async function finish() {
    if (!take) return null;
    const { stream, context, node, blocks, all } = take;
    take = null;
    node.port.postMessage("end");
    await all;
    for (const track of stream.getTracks()) track.stop();
    const rate = context.sampleRate;
    await context.close();
    tell("");
    return wav(blocks, rate);
  }

  function show(state) {
    start.hidden = state !== "idle";
    stop.hidden = state !== "recording";
    again.hidden = state !== "unsent";
    drop.hidden = state !== "recording" && state !== "unsent";
    running.hidden = state !== "recording";
    time.textContent = "0:00";
    meter.value = 0;
  }

  // The header of 16-bit PCM of one channel, and the samples.
  function wav(blocks, rate) {
    const bytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
    const head = new DataView(new ArrayBuffer(HEAD));
    const text = (at, word) => { for (let i = 0; i < word.length; i += 1) head.setUint8(at + i, word.charCodeAt(i)); };
    text(0, "RIFF"); head.setUint32(4, 36 + bytes, true); text(8, "WAVE");
    text(12, "fmt "); head.setUint32(16, 16, true); head.setUint16(20, 1, true); head.setUint16(22, 1, true);
    head.setUint32(24, rate, true); head.setUint32(28, rate * 2, true); head.setUint16(32, 2, true); head.setUint16(34, 16, true);
    text(36, "data"); head.setUint32(40, bytes, true);
    return new Blob([head, ...blocks], { type: "audio/wav" });
  }
})();
