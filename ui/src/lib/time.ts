/** Times and dates as the English catalogue shows them. */

const LOCALE = 'en-GB';
const day = new Intl.DateTimeFormat(LOCALE, { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' });
const dated = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
const month = new Intl.DateTimeFormat(LOCALE, { month: 'long', timeZone: 'UTC' });
const clock = new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const short = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'long' });

/** A civil date, "2026-11-22" → "Sunday 22 November". */
export function longDate(civil: string): string {
  const at = new Date(`${civil}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? civil : day.format(at).replace(',', '');
}

/** A civil date with its year, "2027-02-22" → "22 February 2027". */
export function civilWords(civil: string): string {
  const at = new Date(`${civil}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? civil : dated.format(at);
}

/** Where a civil date stands in its month. */
export function monthPlace(civil: string): { month: string; day: number; days: number } | null {
  const at = new Date(`${civil}T00:00:00Z`);
  if (Number.isNaN(at.getTime())) return null;
  const last = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0));
  return { month: month.format(at), day: at.getUTCDate(), days: last.getUTCDate() };
}

/** Milliseconds of an RFC 3339 time, null when it is none. */
export function millis(rfc3339: string): number | null {
  const at = Date.parse(rfc3339);
  return Number.isNaN(at) ? null : at;
}

/** The time of day if it is today, else day and time. */
export function rowTime(rfc3339: string, nowMs: number): string {
  const at = millis(rfc3339);
  if (at === null) return rfc3339;
  const same = new Date(at).toDateString() === new Date(nowMs).toDateString();
  return (same ? clock : short).format(at).replace(',', '');
}

/** Everything, with the zone, for tooltips and evidence. */
export function fullTime(rfc3339: string): string {
  const at = millis(rfc3339);
  return at === null ? rfc3339 : full.format(at);
}

/** A span in the one unit that matters: seconds below a minute, minutes below two hours… */
export function span(ms: number): { count: number; unit: 's' | 'min' | 'h' | 'd' } {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return { count: s, unit: 's' };
  if (s < 7200) return { count: Math.floor(s / 60), unit: 'min' };
  if (s < 172_800) return { count: Math.floor(s / 3600), unit: 'h' };
  return { count: Math.floor(s / 86_400), unit: 'd' };
}

/** Midnight here, `days` days ago, RFC 3339. */
export function startOfDay(nowMs: number, days = 0): string {
  const at = new Date(nowMs);
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() - days).toISOString();
}

/** The first moment of a date typed in a date field, or null. */
export function dateStart(civil: string, days = 0): string | null {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(civil);
  if (!parts) return null;
  const at = new Date(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]) + days);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** The last date on which something holds that ends at an RFC 3339 time. */
export function lastDate(rfc3339: string): string {
  const at = millis(rfc3339);
  return at === null ? '' : civilDate(new Date(at - 1).toISOString());
}

/** The date in a date field for an RFC 3339 time. */
export function civilDate(rfc3339: string): string {
  const at = millis(rfc3339);
  if (at === null) return '';
  const d = new Date(at);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}
