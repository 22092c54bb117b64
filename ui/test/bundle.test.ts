// @vitest-environment node
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** JavaScript and styles together, gzip; type is apart. */
const BUDGET_BYTES = 150_000;

describe('the application’s bundle', () => {
  const outDir = mkdtempSync(join(tmpdir(), 'imprest-ui-'));
  let files: { name: string; text: Buffer }[] = [];

  beforeAll(async () => {
    const root = join(import.meta.dirname, '..');
    await build({ root, configFile: join(root, 'vite.config.ts'), mode: 'production', logLevel: 'error', build: { outDir } });
    files = readdirSync(outDir, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(js|css|html)$/.test(name))
      .map((name) => ({ name, text: readFileSync(join(outDir, name)) }));
  }, 120_000);
  afterAll(() => {
    rmSync(outDir, { recursive: true });
  });

  test('is small', () => {
    const bytes = files.filter(({ name }) => !name.endsWith('.html')).reduce((sum, { text }) => sum + gzipSync(text).length, 0);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThanOrEqual(BUDGET_BYTES);
  });

  test('has the real host and nothing of the stand-in', () => {
    const all = files.map(({ text }) => text.toString()).join('\n');
    expect(all).toContain('window_ready');
    expect(all).not.toMatch(/standin|Corner shop|Night shift/i);
  });

  test('holds to a strict content policy', () => {
    const html = files.find(({ name }) => name === 'index.html')?.text.toString() ?? '';
    expect(html).not.toMatch(/<script(?![^>]* src=)/);
    expect(html).not.toMatch(/<style|style=|\son\w+=/);
    const code = files.filter(({ name }) => name.endsWith('.js')).map(({ text }) => text.toString()).join('\n');
    expect(code).not.toMatch(/\beval\(|new Function\(/);
    const styles = files.filter(({ name }) => name.endsWith('.css')).map(({ text }) => text.toString()).join('\n');
    expect(styles).not.toMatch(/url\(["']?(https?:|data:|\/\/)/);
  });
});
