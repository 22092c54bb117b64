// The built page on a free port under the strictest content policy, in the system's Chromium.
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { preview } from 'vite';

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src ipc: http://ipc.localhost; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Sunday afternoon, 22 November 2026, where the pictures are taken. */
export const NOW = new Date('2026-11-22T14:02:23+01:00');
export const ZONE = 'Europe/Amsterdam';

/** Serves the stand-in build; answers its address and how to stop it. */
export async function serve() {
  const server = await preview({
    mode: 'standin',
    logLevel: 'warn',
    preview: { host: '127.0.0.1', port: 0, headers: { 'Content-Security-Policy': POLICY } },
  });
  const address = server.httpServer.address();
  return { url: `http://127.0.0.1:${address.port}/`, stop: () => server.close() };
}

/** Starts Debian's Chromium, or the one CHROMIUM names. */
export function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--no-first-run'],
  });
}

/** A fresh page; everything it complains about is kept. */
export async function open(chrome, url, { seed = 'new', theme = 'light', width = 1280, height = 800, fixed = false } = {}) {
  const context = await chrome.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: 'reduce',
    timezoneId: ZONE,
    locale: 'en-GB',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(5000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked ${request.url()}`);
  });
  if (fixed) await page.clock.setFixedTime(NOW);
  await page.goto(`${url}?seed=${seed}`);
  await page.waitForFunction(() => window.imprestStandin?.readyCount === 1);
  await page.evaluate(() => document.fonts.ready);
  return { page, complaints, close: () => context.close() };
}

/** A folder that is there. */
export function folder(path) {
  mkdirSync(path, { recursive: true });
  return path;
}
