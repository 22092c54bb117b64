/** What reorders or hides text: controls, bidirectional marks, zero-width and filler characters. */
const HIDES =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/**
 * Makes a stranger's text safe to look at: bounded, nothing hidden. The desk does this too; the
 * window does not rely on it.
 */
export function plain(text: string, maxChars = 400): string {
  const visible = text.replace(HIDES, (c) => `⟨U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
  const chars = Array.from(visible);
  return chars.length > maxChars ? chars.slice(0, maxChars).join('') + '…' : visible;
}

/** As `plain`, and on one line. */
export function plainLine(text: string, maxChars = 200): string {
  return plain(text.replace(/\s*\n\s*/g, ' '), maxChars);
}

/** An address or hash in groups of four, to read and compare: "0x7099", "7970", … */
export function groups(hex: string): string[] {
  const start = hex.startsWith('0x') ? 2 : 0;
  const rest = hex.slice(start).match(/.{1,4}/g) ?? [];
  if (start === 0) return rest;
  return ['0x' + (rest[0] ?? ''), ...rest.slice(1)];
}

/** JSON laid out for reading; the text itself when it is not JSON. */
export function prettyJson(text: string): string {
  try {
    // Short lists of texts stay on one line, as people write them.
    return JSON.stringify(JSON.parse(text), null, 2).replace(/\[\s+((?:"(?:[^"\\]|\\.)*",?\s+)+)\]/g, (_, items: string) => `[${items.trim().replace(/\s*\n\s*/g, ' ')}]`);
  } catch {
    return text;
  }
}

/** A whole number with its thousands set apart, as amounts are: 10000 → "10 000". */
export function grouped(count: number): string {
  return count.toLocaleString('en-GB').replaceAll(',', '\u202f');
}
