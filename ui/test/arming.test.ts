import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Arming, ARMING_MS } from '../src/lib/state/arming.svelte';

describe('arming', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('keys wait until a question has stood still, the pointer does not', () => {
    const arming = new Arming();
    arming.show(['a']);
    expect(arming.keys('a')).toBe(false);
    expect(arming.pointer('a')).toBe(true);
    vi.advanceTimersByTime(ARMING_MS - 1);
    expect(arming.keys('a')).toBe(false);
    vi.advanceTimersByTime(1);
    expect(arming.keys('a')).toBe(true);
  });

  test('seeing it again does not start over, a new one below does not either', () => {
    const arming = new Arming();
    arming.show(['a']);
    vi.advanceTimersByTime(400);
    arming.show(['a', 'b']);
    vi.advanceTimersByTime(200);
    expect(arming.keys('a')).toBe(true);
    expect(arming.keys('b')).toBe(false);
  });

  test('a question that moves up waits again, for the pointer too', () => {
    const arming = new Arming();
    arming.show(['a', 'b']);
    vi.advanceTimersByTime(ARMING_MS);
    arming.show(['b']);
    expect(arming.keys('b')).toBe(false);
    expect(arming.pointer('b')).toBe(false);
    vi.advanceTimersByTime(ARMING_MS);
    expect(arming.keys('b')).toBe(true);
    expect(arming.pointer('b')).toBe(true);
  });

  test('what is gone does not listen', () => {
    const arming = new Arming();
    arming.show(['a']);
    vi.advanceTimersByTime(ARMING_MS);
    arming.show([]);
    expect(arming.keys('a')).toBe(false);
    expect(arming.pointer('a')).toBe(false);
    arming.show(['a']);
    expect(arming.keys('a')).toBe(false);
    arming.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
