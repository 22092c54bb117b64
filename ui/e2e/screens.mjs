// Takes a picture of every screen in both themes, to be looked at.
import { fileURLToPath } from 'node:url';
import { browser, folder, open, serve } from './page.mjs';
import { SCREENS } from './tour.mjs';

const only = process.argv.slice(2);
const out = folder(fileURLToPath(new URL('../../target/screens/', import.meta.url)));
const server = await serve();
const chrome = await browser();
try {
  for (const screen of SCREENS.filter((s) => only.length === 0 || only.includes(s.name))) {
    for (const [width, height] of screen.sizes ?? [[1280, 800]]) {
      for (const theme of ['light', 'dark']) {
        const { page, close } = await open(chrome, server.url, { seed: screen.seed, theme, width, height, fixed: true });
        await screen.go?.(page);
        await page.waitForSelector(screen.wait);
        // Cards arm and the chain settles by real time; the picture is of what stands then.
        await page.waitForFunction(() => document.querySelector('[data-testid="approval"][data-armed="false"]') === null);
        const size = width === 1280 ? '' : `-${width}x${height}`;
        await page.screenshot({ path: `${out}${screen.name}-${theme}${size}.png` });
        await close();
      }
    }
  }
} finally {
  await chrome.close();
  await server.stop();
}
