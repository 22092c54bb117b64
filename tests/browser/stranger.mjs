// Hostile pages in the system's Chromium, against a running desk's door. Prints one JSON document:
// for each page and token what it got and how the door answered, and the same of a door without a
// lock.
//
// DOOR is the door's address, TOKEN a token that is good, GUESS one that is not, GOOD something
// that can be bought, TO an address for a transfer.
import { createRequire } from 'node:module';
import { attempts } from './attempts.mjs';
import { openDoor, pages, rebound } from './servers.mjs';

// The browser's driver is installed with the web UI.
const { chromium } = createRequire(new URL('../../ui/package.json', import.meta.url))('playwright-core');
const { DOOR, TOKEN, GUESS, GOOD, TO } = process.env;
const door = new URL(DOOR);
const TOKENS = { none: null, guessed: GUESS, good: TOKEN };

/** Opens a page, lets it try everything, and answers what it got and how it was answered. */
async function visit(chrome, { at, target, loaded = () => {} }, token) {
  const context = await chrome.newContext();
  const page = await context.newPage();
  const answers = {};
  page.on('response', (response) => {
    if (response.url() === at || !response.url().startsWith(target)) return;
    answers[response.status()] = (answers[response.status()] ?? 0) + 1;
  });
  await page.goto(at);
  loaded();
  const got = await page.evaluate(attempts, { target, token, good: GOOD, to: TO });
  // A link that somebody follows, and an address that somebody types.
  const shown = await page.goto(`${target}/v1/openapi.json`);
  got['navigation'] = `${shown.status()} ${await shown.text()}`;
  await context.close();
  return { got, answers };
}

const host = '127.0.0.1';
const elsewhere = '127.0.0.2';
const own = await pages(host);
const turning = await rebound(elsewhere, { host: door.hostname, port: Number(door.port) });
const open = { [host]: await openDoor(host), [elsewhere]: await openDoor(elsewhere) };
const chrome = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--headless', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
    '--no-first-run', '--no-proxy-server', '--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.2',
  ],
});
/** Each page, where it comes from, and what it turns against. */
const stages = (doorPort, reboundPort) => [
  { name: 'another port', at: `http://127.0.0.1:${own.port}/`, target: `http://127.0.0.1:${doorPort}` },
  { name: 'another site', at: `http://evil.example:${own.port}/`, target: `http://localhost:${doorPort}` },
  { name: 'another name of the same machine', at: `http://evil.example:${own.port}/`, target: `http://evil.example:${doorPort}` },
  { name: 'rebound', at: `http://rebound.example:${reboundPort}/`, target: `http://rebound.example:${reboundPort}` },
];
const report = { visits: [], rebound_said: {}, unlocked: [] };
try {
  for (const stage of stages(door.port, door.port)) {
    for (const [kind, token] of Object.entries(TOKENS)) {
      const loaded = stage.name === 'rebound' ? turning.turn : undefined;
      const seen = await visit(chrome, { ...stage, loaded }, token);
      if (stage.name === 'rebound') turning.turnBack();
      report.visits.push({ stage: stage.name, token: kind, ...seen });
    }
  }
  for (const status of turning.said) report.rebound_said[status] = (report.rebound_said[status] ?? 0) + 1;
  for (const stage of stages(open[host].port, open[elsewhere].port)) {
    const { arrived } = stage.name === 'rebound' ? open[elsewhere] : open[host];
    arrived.length = 0;
    const { got } = await visit(chrome, stage, GUESS);
    report.unlocked.push({ stage: stage.name, got, arrived: [...arrived] });
  }
  console.log(JSON.stringify(report));
} finally {
  await chrome.close();
  for (const server of [own, turning, ...Object.values(open)]) server.stop();
}
