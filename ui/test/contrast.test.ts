import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const css = readFileSync(join(import.meta.dirname, '../src/styles/tokens.css'), 'utf8');
const SURFACES = ['paper', 'sheet', 'sunk'];
const TEXT = ['ink', 'ink-2', 'ink-3', 'accent', 'wait', 'stop', 'link'];
/** What is told by its colour against a surface but is no text: borders of fields and buttons. */
const OTHER = ['edge', 'accent', 'wait', 'stop'];

function token(name: string, theme: 0 | 1): string {
  const found = new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css)?.[theme + 1];
  if (found === undefined) throw new Error(`tokens.css has no colour --${name}`);
  return found;
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = parseInt(colour.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

describe.each([['light', 0], ['dark', 1]] as const)('in the %s theme', (_, theme) => {
  const pairs: [string, string, number][] = [
    ...SURFACES.flatMap((surface) => TEXT.map((text): [string, string, number] => [text, surface, 7])),
    ...SURFACES.flatMap((surface) => OTHER.map((mark): [string, string, number] => [mark, surface, 4.5])),
    ['on-accent', 'accent', 7],
    ['wait', 'wait-bg', 7],
    ['ink', 'wait-bg', 7],
    ['stop', 'stop-bg', 7],
    ['ink', 'stop-bg', 7],
    ['link', 'wait-bg', 7],
    ['link', 'stop-bg', 7],
  ];
  test.each(pairs)('%s on %s is at least %d', (text, surface, least) => {
    expect(contrast(token(text, theme), token(surface, theme))).toBeGreaterThanOrEqual(least);
  });
});

test('the measure itself is right', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
});
