/** A rough, deliberately pessimistic count of how hard a passphrase is to guess. */

/** The least the desk takes. */
export const MIN_LENGTH = 10;

/** How good it is; the catalogue words each. */
export type Strength = 'empty' | 'short' | 'weak' | 'fair' | 'good' | 'strong';

const COMMON = [
  'password', 'passphrase', 'passwort', 'wachtwoord', 'letmein', 'welcome', 'imprest', 'secret',
  'iloveyou', 'admin', 'dragon', 'monkey', 'football', 'sunshine', 'princess', 'master', 'money',
  'bitcoin', 'ethereum', 'wallet', 'qwerty', 'qwertz', 'azerty', 'asdf', 'zxcv', 'test', 'hello',
];
const RUNS = ['abcdefghijklmnopqrstuvwxyz', '01234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
/** What one word of ordinary language is worth, in bits. */
const WORD_BITS = 12;
/** A year is the commonest thing to hang on a word. */
const YEAR_BITS = 6;

/** The estimate in bits. */
export function bits(passphrase: string): number {
  let rest = passphrase;
  let sum = 0;
  for (const word of COMMON) {
    const at = rest.toLowerCase().indexOf(word);
    if (at >= 0) {
      rest = rest.slice(0, at) + rest.slice(at + word.length);
      sum += 4;
    }
  }
  const seen = new Set<string>();
  for (const token of rest.split(/[\s\-_.,]+/).filter(Boolean)) {
    const repeated = seen.has(token);
    seen.add(token);
    sum += repeated ? 1 : tokenBits(token);
  }
  return Math.round(sum);
}

/** Letters, figures and signs are counted each for itself: a word stays a word with a year behind it. */
function tokenBits(token: string): number {
  const parts = token.match(/\p{L}+|\p{N}+|[^\p{L}\p{N}]+/gu) ?? [];
  return parts.reduce((sum, part) => sum + partBits(part), 0);
}

function partBits(part: string): number {
  if (/^(?:19|20)\d\d$/.test(part)) return YEAR_BITS;
  const raw = withoutRuns(part) * Math.log2(alphabet(part));
  // A run of letters is probably a word, and words are guessed whole.
  return /^\p{Lu}?\p{Ll}+$|^\p{Lu}+$/u.test(part) && part.length <= 14 ? Math.min(raw, WORD_BITS) : raw;
}

function alphabet(part: string): number {
  if (/^\p{N}+$/u.test(part)) return 10;
  if (/^\p{L}+$/u.test(part)) return /^\p{Ll}+$|^\p{Lu}+$/u.test(part) ? 26 : 52;
  return 20;
}

/** The length with repeats and runs such as "aaaa", "1234" and "qwer" counted as one character. */
function withoutRuns(token: string): number {
  const low = token.toLowerCase();
  let length = 0;
  for (let i = 0; i < low.length; i++) {
    const pair = low.slice(i - 1, i + 1);
    const back = pair[1] === undefined ? '' : pair[1] + (pair[0] ?? '');
    const follows = i > 0 && (low[i] === low[i - 1] || RUNS.some((run) => run.includes(pair) || run.includes(back)));
    if (!follows) length += 1;
  }
  return length;
}

/** The strength of a passphrase. */
export function strength(passphrase: string): Strength {
  if (passphrase === '') return 'empty';
  if (Array.from(passphrase).length < MIN_LENGTH) return 'short';
  const estimate = bits(passphrase);
  if (estimate < 34) return 'weak';
  if (estimate < 46) return 'fair';
  return estimate < 66 ? 'good' : 'strong';
}
