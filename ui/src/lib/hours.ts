/** Hours of the day, "09:00-18:00"; the end is not part of them, and they may pass midnight. */

const MINUTES_PER_DAY = 1440;
const TIME = /^(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))$/;

/** Minutes after midnight, or null when the text is no time of the day. */
function minutes(time: string): number | null {
  const parts = TIME.exec(time.trim());
  return parts === null ? null : Number(parts[1] ?? parts[3]) * 60 + Number(parts[2] ?? parts[4]);
}

/** A part of the day: its first minute, and how many there are. */
interface Arc {
  from: number;
  length: number;
}

function arc(hours: string | null): Arc | null {
  const [from, until] = (hours ?? '').split('-').map(minutes);
  if (from === undefined || from === null || until === undefined || until === null) return null;
  return { from, length: (until - from + MINUTES_PER_DAY) % MINUTES_PER_DAY || MINUTES_PER_DAY };
}

/** What keeps two fields from being hours: a key of the catalogue's `budget.fault`. */
export function hoursFault(from: string, until: string): 'hours' | 'halfHours' | null {
  const [first, last] = [from.trim(), until.trim()];
  if (first === '' && last === '') return null;
  if (first === '' || last === '') return 'halfHours';
  const [start, end] = [minutes(first), minutes(last)];
  if (start === null || end === null || start === MINUTES_PER_DAY) return 'hours';
  // Midnight to midnight is the whole day; any other equal ends could mean always or never.
  return start === end && start !== 0 ? 'hours' : null;
}

/** Two fields without faults as hours; none when both are empty. */
export function hoursOf(from: string, until: string): string | null {
  if (from.trim() === '' || until.trim() === '') return null;
  // A time field cannot hold 24:00; as an end, midnight means it.
  return `${from.trim()}-${until.trim() === '00:00' ? '24:00' : until.trim()}`;
}

/** Hours as two time fields hold them. */
export function hoursParts(hours: string | null): { from: string; until: string } {
  const [from = '', until = ''] = (hours ?? '').split('-');
  return { from, until: until === '24:00' ? '00:00' : until };
}

/** Whether both are the same part of the day; no hours are the whole day, but not the same text. */
export function sameHours(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === b;
  const [one, other] = [arc(a), arc(b)];
  return one !== null && other !== null ? one.from === other.from && one.length === other.length : a === b;
}

/** Whether the first lies inside the second; no hours are the whole day. */
export function within(inner: string | null, outer: string | null): boolean {
  const room = arc(outer);
  if (room === null || room.length === MINUTES_PER_DAY) return true;
  const wanted = arc(inner);
  if (wanted === null) return false;
  return ((wanted.from - room.from + MINUTES_PER_DAY) % MINUTES_PER_DAY) + wanted.length <= room.length;
}
