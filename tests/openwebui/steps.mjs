// Steps on Open WebUI's page, for tests/support/browser.mjs. They act and
// tell; the checks are in the Python beside this file.

const VOICE_MODE = 'button[aria-label="Voice mode"]';
const END_CALL = 'button[aria-label="End call"]';
const DENIED = "Permission denied when accessing media devices";
const TURN_MS = 60_000;

const endCall = (page) => page.locator(END_CALL)
  .or(page.getByRole("button", { name: "End call" })).first();

// Wait until the app can be used.
export async function ready({ page }) {
  await page.locator("#chat-input").waitFor({ state: "visible" });
  await page.locator(VOICE_MODE).waitFor({ state: "visible" });
  return page.evaluate(() => ({
    secure: window.isSecureContext,
    media: navigator.mediaDevices !== undefined,
  }));
}

// Ask for a call where there is no microphone; what the page says.
export async function refused({ page }) {
  await page.locator(VOICE_MODE).click();
  const toast = page.getByText(DENIED).first();
  await toast.waitFor({ state: "visible", timeout: 10_000 });
  return { text: await toast.textContent(),
    overlay: await endCall(page).isVisible() };
}

// Start a call of either kind; back when it listens. The person says so many
// sentences, or (in a realtime call) speaks on.
export async function call({ page }, { listens, sentences }) {
  await page.evaluate((count) => window.sallyportSay(count ?? Infinity),
    sentences);
  await page.locator(VOICE_MODE).click();
  await endCall(page).waitFor({ state: "visible" });
  await page.getByText(listens).first()
    .waitFor({ state: "visible", timeout: TURN_MS });
  return { at_ms: Date.now() };
}

// Say a sentence; what had been noted before it.
async function say(page) {
  return page.evaluate(() => {
    const { recordings, speeches } = window.sallyportNotes;
    window.sallyportSay(recordings.length + 1);
    return { recordings: recordings.length, speeches: speeches.length };
  });
}

// Wait until the answer to what was said after |before| has been heard to its
// end, and the call listens again.
async function heard(page, { before, listens, timeout = TURN_MS }) {
  await page.waitForFunction(({ recordings, speeches }) => {
    const notes = window.sallyportNotes;
    const ended = notes.media.filter(
      (m) => m.kind === "ended" && m.source === "blob:").length;
    return notes.recordings.length > recordings
      && notes.speeches.length > speeches
      && ended === notes.speeches.length;
  }, before, { timeout, polling: 50 });
  await page.getByText(listens).first()
    .waitFor({ state: "visible", timeout: TURN_MS });
}

// So often: say a sentence, hear its answer to the end, and be listened to
// again. Nobody speaks meanwhile, so that nothing is interrupted.
export async function turns({ page }, { count, listens }) {
  for (let turn = 0; turn < count; turn++) {
    await heard(page, { before: await say(page), listens });
  }
  return { at_ms: Date.now() };
}

// The first half of a turn: a sentence, till the page is |thinking| of it.
export async function half_turn({ page }, { thinking }) {
  const before = await say(page);
  await page.getByText(thinking).first()
    .waitFor({ state: "visible", timeout: TURN_MS });
  return before;
}

// The second half, after an outage: what half_turn() gave is |before|.
export async function other_half({ page }, { before, listens }) {
  await heard(page, { before, listens, timeout: 2 * TURN_MS });
  return { at_ms: Date.now() };
}

// Wait until the socket.io connection that was opened after |after_ms| works.
export async function socket_back({ page, seen }, { after_ms, timeout_ms }) {
  const end = Date.now() + timeout_ms;
  while (Date.now() < end) {
    for (const socket of seen.sockets.values()) {
      const hello = socket.url.includes("/ws/socket.io/")
        && socket.created_ms > after_ms
        && socket.frames.find(
          (f) => f.way === "in" && f.text.startsWith("40{"));
      if (hello) {
        return { at_ms: hello.at_ms };
      }
    }
    await page.waitForTimeout(50);
  }
  throw new Error("socket.io did not come back");
}

// Wait until a realtime call has been answered so often.
export async function realtime_turns({ page }, { count }) {
  await page.locator(".chat-assistant").filter({ hasText: "Realtime answer" })
    .nth(count - 1).waitFor({ state: "visible", timeout: TURN_MS * count });
  return { at_ms: Date.now() };
}

// What the page shows and has noted.
export async function notes({ page }) {
  return page.evaluate(() => {
    const texts = (selector) => [...document.querySelectorAll(selector)]
      .map((bubble) => bubble.innerText);
    return { ...window.sallyportNotes,
      said: texts(".chat-user"), answered: texts(".chat-assistant") };
  });
}

// Hang up; back when the overlay is gone.
export async function hang_up({ page }) {
  await endCall(page).click();
  await endCall(page).waitFor({ state: "hidden" });
  return { overlay: await endCall(page).isVisible() };
}

// Type a question and send it.
export async function ask({ page }, { text }) {
  await page.locator("#chat-input").click();
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await page.locator(".chat-user").filter({ hasText: text }).first()
    .waitFor({ state: "visible" });
  return { at_ms: Date.now() };
}

// Wait until so many words of answers have come since |after_ms|; how many.
export async function words({ page, seen }, { after_ms, count }) {
  const end = Date.now() + TURN_MS;
  for (;;) {
    const found = [...seen.sockets.values()].flatMap((s) => s.frames)
      .filter((f) => f.way === "in" && f.at_ms >= after_ms
        && f.text.includes("output_text.delta")).length;
    if (found >= count) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`${found} of ${count} words came`);
    }
    await page.waitForTimeout(20);
  }
}

// Wait for the end of the answer that stands last.
export async function answered({ page }, { text, timeout_ms }) {
  await page.locator(".chat-assistant").filter({ hasText: text }).last()
    .waitFor({ state: "visible", timeout: timeout_ms });
  return { at_ms: Date.now() };
}
