import type { SignalView } from './host/generated/types';

/** What something was and what it is now, as the desk's sentence has it. */
export interface Change {
  before: string;
  after: string;
}

const CHANGES: Readonly<Record<string, RegExp>> = {
  pay_to_changed: /\bat (?<after>0x[0-9a-fA-F]{40}) instead of (?<before>0x[0-9a-fA-F]{40})\b/,
  price_jumped: /\basks (?<after>[\d.]+ \S+) where (?<before>[\d.]+) was usual/,
  price_soared: /\basks (?<after>[\d.]+ \S+) where (?<before>[\d.]+) was usual/,
};

/** Old and new where the sentence names both; null leaves the sentence to speak for itself. */
export function changeOf(signal: Pick<SignalView, 'kind' | 'detail'>): Change | null {
  const found = Object.hasOwn(CHANGES, signal.kind) ? CHANGES[signal.kind]?.exec(signal.detail)?.groups : undefined;
  const { before, after } = found ?? {};
  return before === undefined || after === undefined ? null : { before, after };
}

/** Those that still count first, in the desk's order. */
export function openFirst(signals: readonly SignalView[]): SignalView[] {
  return [...signals.filter((signal) => signal.open), ...signals.filter((signal) => !signal.open)];
}

/** What an acknowledgement would take on trust, so that it is asked about once more. */
export function needsThought(kind: string): kind is 'books_broken' | 'rolled_back' {
  return kind === 'books_broken' || kind === 'rolled_back';
}

/** Whether a signal is about an agent, whose page shows what it does to it. */
export function isAboutAgent(kind: string): boolean {
  return kind === 'refusal_burst' || kind === 'credential_elsewhere';
}
