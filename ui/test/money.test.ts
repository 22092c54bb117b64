import { render } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import Amount from '../src/lib/components/Amount.svelte';
import { amountFault, canonical, columnPlaces, figures, fromUnits, permille, shown, toUnits } from '../src/lib/money';

describe('amounts', () => {
  test.each([
    ['5', '5.00'],
    ['0.6', '0.60'],
    ['0.0042', '0.0042'],
    ['0.004200', '0.0042'],
    ['1234567.5', '1\u202f234\u202f567.50'],
    ['007', '7.00'],
    ['0', '0.00'],
    ['-1.5', '-1.50'],
    ['0.000000000000000001', '0.000000000000000001'],
    ['340282366920938463463374607431768211455', '340\u202f282\u202f366\u202f920\u202f938\u202f463\u202f463\u202f374\u202f607\u202f431\u202f768\u202f211\u202f455.00'],
    ['not a number', 'not a number'],
  ])('%s is shown as %s', (decimal, expected) => {
    expect(shown(decimal)).toBe(expected);
  });

  test.each([
    ['', 'empty'], ['  ', 'empty'], ['0,25', 'comma'], ['1,000.00', 'comma'], ['-1', 'form'], ['+1', 'form'], ['1e3', 'form'],
    ['.5', 'form'], ['5.', 'form'], ['0x10', 'form'], ['1 000', 'form'], ['٣', 'form'], ['NaN', 'form'], ['Infinity', 'form'],
    ['0.1234567890123456789', 'places'], ['1'.repeat(31), 'form'],
  ])('%j is no amount: %s', (text, fault) => {
    expect(amountFault(text)).toBe(fault);
  });

  test.each(['0', '5', '5.00', '0.25', ' 7.1 ', '0.000001', '999999999999999999999999999999'])('%j is an amount', (text) => {
    expect(amountFault(text)).toBeNull();
  });

  test('units are exact and come back', () => {
    expect(toUnits('0.1', 6)).toBe(100000n);
    expect(toUnits('0.1234567', 6)).toBeNull();
    expect((toUnits('0.1') ?? 0n) + (toUnits('0.2') ?? 0n)).toBe(toUnits('0.3'));
    expect(fromUnits(4200n, 6)).toBe('0.0042');
    expect(fromUnits(0n, 6)).toBe('0');
    expect(canonical('0.250')).toBe('0.25');
  });

  test('a share is exact and rounded down', () => {
    expect(permille('5', '4.1')).toBe(820);
    expect(permille('5', '4', '0.1')).toBe(820);
    expect(permille('3', '1')).toBe(333);
    expect(permille('0', '1')).toBeNull();
    expect(permille('0.000001', '1')).toBe(9999);
    expect(permille('340282366920938463463374607431', '340282366920938463463374607431')).toBe(1000);
  });

  test('a column has the places of its longest fraction', () => {
    expect(columnPlaces(['4', '0.01', '0.0042'])).toBe(4);
    expect(columnPlaces([])).toBe(2);
    expect(figures('0.0042')).toEqual({ whole: '0', fraction: '0042' });
  });

  test('the point stands still in a column, and the padding is not part of the text', () => {
    const { container } = render(Amount, { value: '0.6', places: 4 });
    const amount = container.querySelector('.amount');
    expect(amount?.textContent).toBe('0.60');
    expect(amount?.getAttribute('data-pad')).toBe('00');
  });
});
