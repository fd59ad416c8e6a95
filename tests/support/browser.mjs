// A Chromium that a test's Python half drives: one JSON line in is one step,
// one JSON line out is what it saw. It judges nothing; the checks are made
// where the steps are asked for.
//
//   node browser.mjs [STEPS.mjs]    with PLAYWRIGHT=folder of playwright-core
//
// STEPS.mjs exports more steps: functions (stage, args), where |stage| has
// {context, page, seen}.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import process from "node:process";

const FRAME_TEXT_MAX = 400;
const STEP_MS = 60_000;

const require = createRequire(import.meta.url);
const { chromium } = require(process.env.PLAYWRIGHT);

// What happens on one page, from its first request on.
class Seen {
  constructor() {
    this.responses = [];
    this.failed = [];
    this.sockets = new Map();
    this.errors = [];
    this.pending = [];
  }

  async watch(context, page) {
    page.on("response", (response) => this.response(response));
    page.on("requestfailed", (request) => this.failed.push(
      { url: request.url(), why: request.failure()?.errorText ?? "" }));
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") {
        this.errors.push(message.text());
      }
    });
    const wire = await context.newCDPSession(page);
    wire.on("Network.webSocketCreated", (e) => this.sockets.set(e.requestId, {
      url: e.url, frames: [], created_ms: Date.now(), closed_ms: null }));
    wire.on("Network.webSocketHandshakeResponseReceived", (e) => {
      const socket = this.sockets.get(e.requestId);
      socket.status = e.response.status;
      socket.asked = e.response.requestHeaders ?? {};
      socket.answered = e.response.headers;
      socket.open_ms = Date.now();
    });
    wire.on("Network.webSocketFrameReceived", (e) => this.frame(e, "in"));
    wire.on("Network.webSocketFrameSent", (e) => this.frame(e, "out"));
    wire.on("Network.webSocketClosed", (e) => {
      this.sockets.get(e.requestId).closed_ms = Date.now();
    });
    await wire.send("Network.enable");
  }

  response(response) {
    const request = response.request();
    const entry = {
      method: request.method(), url: response.url(),
      status: response.status(), kind: request.resourceType(),
      at_ms: Date.now(),
    };
    this.responses.push(entry);
    if (request.method() === "GET" && response.status() === 200) {
      this.pending.push(response.body().then((body) => {
        entry.bytes = body.length;
        entry.sha256 = createHash("sha256").update(body).digest("hex");
      }).catch(() => {}));
    }
  }

  frame(event, way) {
    this.sockets.get(event.requestId)?.frames.push({
      way, at_ms: Date.now(), bytes: event.response.payloadData.length,
      text: event.response.payloadData.slice(0, FRAME_TEXT_MAX),
    });
  }

  async report() {
    await Promise.all(this.pending);
    return { responses: this.responses, failed: this.failed,
      errors: this.errors, sockets: [...this.sockets.values()] };
  }
}

// Start Chromium with a fake microphone, trusting what $HOME's NSS db trusts.
async function launch(stage, args) {
  stage.context = await chromium.launchPersistentContext(args.profile, {
    executablePath: args.chromium,
    headless: false,
    env: { ...process.env, HOME: args.home },
    args: [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
      "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--mute-audio",
      `--host-resolver-rules=MAP *.${args.base} 127.0.0.1`,
      "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${args.microphone}`,
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
  stage.context.setDefaultTimeout(STEP_MS);
  return { version: stage.context.browser()?.version() ?? "unknown" };
}

// A new page in place of the last one; |args.script| runs before its own.
async function visit(stage, args) {
  const page = await stage.context.newPage();
  for (const old of stage.context.pages()) {
    if (old !== page) {
      await old.close();
    }
  }
  stage.page = page;
  stage.seen = new Seen();
  await stage.seen.watch(stage.context, page);
  for (const path of args.scripts ?? []) {
    await page.addInitScript({ path });
  }
  const response = await page.goto(args.url,
    { waitUntil: "domcontentloaded", timeout: STEP_MS });
  return { status: response.status(), title: await page.title(),
    body: (await response.text().catch(() => "")).slice(0, 4000) };
}

const own = {
  launch,
  visit,
  seen: (stage) => stage.seen.report(),
  evaluate: (stage, args) => stage.page.evaluate(args.script),
  wait_for: (stage, args) => stage.page.waitForFunction(
    args.script, null, { timeout: args.timeout_ms, polling: 20 })
    .then((handle) => handle.jsonValue()),
  screenshot: (stage, args) => stage.page.screenshot({ path: args.path })
    .then(() => null),
  close: async (stage) => stage.context?.close(),
};

async function main() {
  const more = process.argv[2]
    ? await import(pathToFileURL(process.argv[2])) : {};
  const steps = { ...own, ...more };
  const stage = {};
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, step, args } = JSON.parse(line);
    let reply;
    try {
      reply = { id, value: (await steps[step](stage, args)) ?? null };
    } catch (error) {
      reply = { id, error: `${step}: ${error?.stack ?? error}` };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  await stage.context?.close();
}

await main();
