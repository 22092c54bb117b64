/** Hex digits that look like a hash, and are the same on every run. */
export function hex(text: string, length: number): string {
  let out = '';
  for (let round = 0; out.length < length; round++) {
    let h = 2166136261 ^ round;
    for (const c of text) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 16777619) >>> 0;
    out += h.toString(16).padStart(8, '0');
  }
  return out.slice(0, length);
}
