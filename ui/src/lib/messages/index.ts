import type { Problem } from '../host/generated/types';
import { en } from './en';

/** All texts of the window. English is the first catalogue; others take its shape. */
export const t = en;

/** What went wrong and what to do, in the window's words where it has them. */
export function wording(problem: Problem): { says: string; todo: string } {
  const known = Object.hasOwn(en.problems, problem.code)
    ? en.problems[problem.code as keyof typeof en.problems]
    : undefined;
  if (known === undefined) return { says: problem.message, todo: problem.recovery };
  // Where the code alone says too little, the desk's own sentence carries the facts.
  const says = known.withMessage && problem.message !== '' ? `${known.says} ${sentence(problem.message)}` : known.says;
  return { says, todo: known.todo === '' ? problem.recovery : known.todo };
}

/** A line of the desk as a whole sentence. */
export function sentence(text: string): string {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}
