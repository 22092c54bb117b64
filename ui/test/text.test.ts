import { describe, expect, test } from 'vitest';
import { bits, strength } from '../src/lib/passphrase';
import { hrefOf, parse } from '../src/lib/state/router.svelte';
import { grouped, groups, plain, plainLine, prettyJson } from '../src/lib/text';
import { civilWords, longDate, monthPlace, span } from '../src/lib/time';

describe('strangers’ text', () => {
  test('shows what hides or reorders', () => {
    expect(plain('pay\u202eyap')).toBe('pay⟨U+202E⟩yap');
    expect(plain('a\u200bb\u0007c\u{e0041}')).toBe('a⟨U+200B⟩b⟨U+0007⟩c⟨U+E0041⟩');
    expect(plain('one\ntwo')).toBe('one\ntwo');
    expect(plainLine('one\n two')).toBe('one two');
  });

  test('is bounded by characters, not halves of them', () => {
    expect(plain('💶💶💶', 2)).toBe('💶💶…');
  });

  test('an address comes in groups and loses nothing', () => {
    const address = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
    expect(groups(address)[0]).toBe('0x7099');
    expect(groups(address)).toHaveLength(10);
    expect(groups(address).join('')).toBe(address);
    expect(groups('abcdef').join('')).toBe('abcdef');
  });

  test('JSON is laid out, anything else left alone', () => {
    expect(prettyJson('{"args":["mcp","--agent"]}')).toBe('{\n  "args": ["mcp", "--agent"]\n}');
    expect(prettyJson('{"a":["]\\"["],"b":[1]}')).toContain('["]\\"["]');
    expect(prettyJson('<nothing>')).toBe('<nothing>');
  });
});

describe('passphrases', () => {
  test.each([
    ['', 'empty'], ['short', 'short'], ['aaaaaaaaaaaaaaaa', 'weak'], ['1234567890123', 'weak'], ['password1234', 'weak'],
    ['qwertyuiop123', 'weak'], ['Rotterdam2026', 'weak'], ['herons read maps', 'fair'], ['correct horse battery staple', 'good'],
    ['seven grey herons read maps', 'good'], ['vK8#qz!Lw2@tR9$m', 'strong'],
  ])('%j is %s', (passphrase, grade) => {
    expect(`${strength(passphrase)}`).toBe(grade);
  });

  test('more is never worth less', () => {
    for (const base of ['herons', 'tK9#', 'aaaa bbbb']) expect(bits(`${base} walnut`)).toBeGreaterThanOrEqual(bits(base));
  });
});

describe('places and times', () => {
  test.each(['#/desk', '#/agents', '#/agents/new', '#/agents/agt_1', '#/shared/new', '#/shared/shr_1', '#/activity', '#/signals', '#/settings'])('%s reads back', (hash) => {
    expect(hrefOf(parse(hash).place)).toBe(hash);
  });

  test('what is unknown or malformed is home', () => {
    for (const hash of ['', '#', '#/nowhere', '#/%E0%A4%A', '#//']) expect(parse(hash).place.view).toBe('desk');
    expect(parse('#/agents/%E0%A4%A').place.view).toBe('agents');
    expect(parse('#/shared').place.view).toBe('agents');
    expect(parse('#/desk?payment=pay_1').query.get('payment')).toBe('pay_1');
  });

  test('dates and spans', () => {
    expect(longDate('2026-11-22')).toBe('Sunday 22 November');
    expect(civilWords('2027-02-22')).toBe('22 February 2027');
    expect(grouped(10000)).toBe('10\u202f000');
    expect(longDate('nonsense')).toBe('nonsense');
    expect(monthPlace('2028-02-10')).toEqual({ month: 'February', day: 10, days: 29 });
    expect(span(-5)).toEqual({ count: 0, unit: 's' });
    expect(span(59_400)).toEqual({ count: 59, unit: 's' });
    expect(span(8 * 60_000)).toEqual({ count: 8, unit: 'min' });
    expect(span(3 * 3_600_000)).toEqual({ count: 3, unit: 'h' });
    expect(span(5 * 86_400_000)).toEqual({ count: 5, unit: 'd' });
  });
});
