import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * Which desk the window talks to is decided here, at build time, so that the in-memory desk can
 * never reach a released application. `vite build` is the real one; the dev server is the real one
 * only when the Tauri CLI started it.
 */
function hostFile(command: 'build' | 'serve', mode: string): string {
  const inTauri = process.env['TAURI_ENV_PLATFORM'] !== undefined;
  const standin = mode === 'standin' || mode === 'test' || (command === 'serve' && !inTauri);
  return here(standin ? './src/lib/host/standin/index.ts' : './src/lib/host/tauri.ts');
}

export default defineConfig(({ command, mode }) => ({
  base: './',
  plugins: [svelte()],
  resolve: {
    alias: { '#host': hostFile(command, mode) },
    ...(mode === 'test' ? { conditions: ['browser'] } : {}),
  },
  build: {
    outDir: mode === 'standin' ? '../target/ui-standin' : 'dist',
    emptyOutDir: true,
    // WebKitGTK 2.44, Safari 17.5 and WebView2 know light-dark() and popover.
    target: ['es2022', 'safari17.5', 'chrome123'],
    cssTarget: ['safari17.5', 'chrome123'],
    // Nothing is inlined, so the strictest content policy holds.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: {
    environment: 'jsdom',
    include: ['test/**/*.test.ts'],
  },
}));
