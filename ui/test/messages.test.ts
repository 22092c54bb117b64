import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'svelte/compiler';
import { describe, expect, test } from 'vitest';
import { asProblem } from '../src/lib/host/host';
import { t, wording } from '../src/lib/messages';

const SRC = join(import.meta.dirname, '../src/');
/** The words that a closed set of the desk crosses as, as its own source writes them. */
function wordsOf(file: string, set: string): string[] {
  const source = readFileSync(join(import.meta.dirname, '../../crates', file), 'utf8');
  return [...source.matchAll(new RegExp(`${set}::\\w+ => "(\\w+)"`, 'g'))].map((found) => found[1] ?? '');
}
const CODES = wordsOf('desk/src/problem.rs', 'ErrorCode');
const STATES = ['refused', 'waiting', 'held', 'delivered', 'unknown', 'settled', 'void', 'expired'];
const RULES = wordsOf('domain/src/verdict.rs', 'ReasonCode');
const SIGNALS = wordsOf('domain/src/signal.rs', 'SignalKind');
const LEVELS = wordsOf('domain/src/grade.rs', 'Danger');
/** Attributes that people read or hear. */
const SPOKEN = ['aria-label', 'title', 'placeholder', 'alt', 'aria-valuetext'];
/** Single letters on key caps are the keys themselves. */
const isWords = (text: string): boolean => /\p{L}{2,}/u.test(text);

describe('the catalogue', () => {
  test('words every code, state, rule, effect and verdict', () => {
    expect(Object.keys(t.problems).sort()).toEqual([...CODES].sort());
    expect(Object.keys(t.states).sort()).toEqual([...STATES].sort());
    expect(CODES.length).toBeGreaterThan(10);
    expect(RULES.length).toBeGreaterThan(20);
    expect(Object.keys(t.rules).sort()).toEqual([...RULES].sort());
    expect(SIGNALS.length).toBeGreaterThan(8);
    expect(Object.keys(t.signals.kinds).sort()).toEqual([...SIGNALS].sort());
    expect(LEVELS).toHaveLength(4);
    expect(Object.keys(t.danger.levels).sort()).toEqual([...LEVELS].sort());
    expect(Object.keys(t.effects).sort()).toEqual(['approved', 'ask', 'deny', 'pass']);
    expect(Object.keys(t.verdicts).sort()).toEqual(['allow', 'ask', 'deny']);
  });

  test.each(CODES)('%s has something to say and something to do', (code) => {
    const words = wording({ code, message: 'the disk is full', recovery: 'Make room.' });
    expect(words.says).toMatch(/[.]$/);
    expect(words.todo).toMatch(/[.]$/);
  });

  test('falls back to the desk’s own words', () => {
    expect(wording({ code: 'new_code', message: 'Something new.', recovery: 'Do this.' })).toEqual({ says: 'Something new.', todo: 'Do this.' });
    expect(wording({ code: 'toString', message: 'Odd.', recovery: '' }).says).toBe('Odd.');
    expect(wording({ code: 'bad_input', message: 'a name is 1 to 32 letters', recovery: '' }).says).toBe('That cannot be taken as it is. A name is 1 to 32 letters.');
  });

  test('anything thrown is a problem', () => {
    expect(asProblem({ code: 'disk', message: 'm', recovery: 'r' })).toEqual({ code: 'disk', message: 'm', recovery: 'r' });
    for (const odd of [null, undefined, 7, 'text', new Error('text'), { code: 7 }]) expect(asProblem(odd).code).toBe('internal');
  });

  test('has every text: no component has words of its own', () => {
    const strays: string[] = [];
    for (const file of readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.svelte'))) {
      walk(parse(readFileSync(SRC + file, 'utf8'), { modern: true }).fragment as unknown as Node, (text) => strays.push(`${file}: ${text}`));
    }
    expect(strays).toEqual([]);
  });
});

interface Node {
  type?: string;
  name?: string;
  data?: string;
  [key: string]: unknown;
}

/** Finds text between tags and in spoken attributes. Expressions take theirs from the catalogue. */
function walk(node: Node, found: (text: string) => void): void {
  if (node.type === 'Text' && isWords(node.data ?? '')) found(node.data ?? '');
  if (node.type === 'Attribute' && !SPOKEN.includes(node.name ?? '')) return;
  for (const [key, child] of Object.entries(node)) {
    if (key === 'expression' || key === 'metadata') continue;
    for (const one of Array.isArray(child) ? child : [child]) {
      if (typeof one === 'object' && one !== null) walk(one as Node, found);
    }
  }
}
