/**
 * Exact decimals as text. Nothing in here, or anywhere in this window, makes money a float.
 */

/** Digits before and after the point, a sum far beyond any asset's supply. */
const FORM = /^(\d{1,30})(?:\.(\d{1,18}))?$/;

/** The places all comparisons are done in; no asset has more. */
const PLACES = 18;

/** Why a text is no amount: a key of the catalogue's `amount`. */
export type AmountFault = 'empty' | 'comma' | 'form' | 'places';

/** Says what is wrong with an amount as typed, or null when it is one. */
export function amountFault(text: string): AmountFault | null {
  const typed = text.trim();
  if (typed === '') return 'empty';
  if (typed.includes(',')) return 'comma';
  if (/^\d+\.\d{19,}$/.test(typed)) return 'places';
  return FORM.test(typed) ? null : 'form';
}

/** Units at 18 places, for comparing; null when the text is no amount. */
export function toUnits(text: string, places = PLACES): bigint | null {
  const parts = FORM.exec(text.trim());
  if (!parts) return null;
  const fraction = parts[2] ?? '';
  if (fraction.length > places) return null;
  return BigInt((parts[1] ?? '0') + fraction.padEnd(places, '0'));
}

/** The other way round, with no zeros that say nothing. */
export function fromUnits(units: bigint, places = PLACES): string {
  const digits = units.toString().padStart(places + 1, '0');
  const fraction = digits.slice(digits.length - places).replace(/0+$/, '');
  const whole = digits.slice(0, digits.length - places);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** An amount in its shortest form, "0.250" → "0.25"; the text itself when it is none. */
export function canonical(text: string): string {
  const units = toUnits(text);
  return units === null ? text.trim() : fromUnits(units);
}

/** An amount as it is shown: whole part, fraction of at least two figures. */
export interface Figures {
  whole: string;
  fraction: string;
}

/** Cuts an exact decimal for showing. Sub-cent sums stay exact; thousands are set apart. */
export function figures(decimal: string): Figures {
  const parts = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal.trim());
  if (!parts) return { whole: decimal, fraction: '' };
  const whole = (parts[2] ?? '0').replace(/^0+(?=\d)/, '');
  // A narrow no-break space: it reads as one figure and never wraps.
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  const fraction = (parts[3] ?? '').replace(/0+$/, '').padEnd(2, '0');
  return { whole: (parts[1] ?? '') + grouped, fraction };
}

/** An exact decimal in one string, "1800.5" → "1 800.50". */
export function shown(decimal: string): string {
  const { whole, fraction } = figures(decimal);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** How many places a column needs so that its points stand under each other. */
export function columnPlaces(decimals: readonly string[]): number {
  return decimals.reduce((most, decimal) => Math.max(most, figures(decimal).fraction.length), 2);
}

/** How much of a limit these sums use, in thousandths, rounded down; null of a limit of zero. */
export function permille(limit: string, ...used: readonly string[]): number | null {
  const whole = toUnits(limit);
  if (whole === null || whole === 0n) return null;
  const sum = used.reduce((all, part) => all + (toUnits(part) ?? 0n), 0n);
  // Beyond what a bar can show the exact number says nothing.
  const share = (sum * 1000n) / whole;
  return share > 9999n ? 9999 : Number(share);
}
