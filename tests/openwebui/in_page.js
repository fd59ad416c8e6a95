// Runs in every page before the app does: notes what only the page can see.
// Sound played (media events do not bubble, but are captured), recordings as
// they are posted, and speech as it is received. And it holds the microphone:
// a person says so many sentences and then nothing, however slow the app is,
// while Chromium's fake microphone hums for ever.
(() => {
  "use strict";
  const notes = { media: [], recordings: [], speeches: [] };
  window.sallyportNotes = notes;

  const tracks = [];
  let sentences = Infinity; // said by the end of them: each is a recording

  function open() {
    for (const track of tracks) {
      track.enabled = notes.recordings.length < sentences;
    }
  }

  window.sallyportSay = (count) => {
    sentences = count;
    open();
  };

  const devices = navigator.mediaDevices; // none over plain http
  const realMedia = devices?.getUserMedia.bind(devices);
  if (realMedia) {
    devices.getUserMedia = async (...wanted) => {
      const stream = await realMedia(...wanted);
      tracks.push(...stream.getAudioTracks());
      open();
      return stream;
    };
  }

  for (const kind of ["playing", "ended"]) {
    document.addEventListener(kind, (event) => notes.media.push({
      kind, source: event.target.currentSrc.slice(0, 5),
      at_ms: Date.now() }), true);
  }

  async function digest(buffer) {
    const hash = await crypto.subtle.digest("SHA-256", buffer);
    return [...new Uint8Array(hash)]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  const realFetch = window.fetch;
  window.fetch = async function (resource, options) {
    const url = String(resource?.url ?? resource);
    if (url.endsWith("/audio/transcriptions")) {
      const note = {};
      notes.recordings.push(note);
      open();
      const sound = await options.body.get("file").arrayBuffer();
      note.bytes = sound.byteLength;
      note.sha256 = await digest(sound);
    }
    const response = await realFetch.apply(this, arguments);
    if (url.endsWith("/audio/speech")) {
      const sound = await response.clone().arrayBuffer();
      notes.speeches.push({ bytes: sound.byteLength,
        sha256: await digest(sound) });
    }
    return response;
  };
})();
