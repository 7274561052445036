// Runs beside the audio: hands on what the microphone gives, a block of samples at a time, of one channel.
"use strict";
class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(4096);
    this.filled = 0;
    this.ended = false;
    this.port.onmessage = () => {
      // The rest, then the sign that there is no more.
      this.port.postMessage(this.block.slice(0, this.filled));
      this.port.postMessage(null);
      this.ended = true;
    };
  }

  process(inputs) {
    if (this.ended) return false;
    const channel = inputs[0] && inputs[0][0];
    if (!channel) return true;
    for (const sample of channel) {
      this.block[this.filled] = sample;
      this.filled += 1;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("samples", Samples);
