import type { ActivityRow, ApprovalCard, BudgetForm, Evidence } from '../generated/types';

/** An agent of the stand-in. */
export interface Agent {
  id: string;
  name: string;
  grade: string;
  revoked: boolean;
  address: string;
  budget: BudgetForm;
  /** On the chain, in units. */
  chain: bigint;
  lastSeen: number | null;
  /** The shared budget it is under. */
  shared: string | null;
}

/** A budget that several of them share. */
export interface Shared {
  id: string;
  name: string;
  budget: BudgetForm;
}

/** What an agent knows of a payee: its usual address, none yet, or another than before. */
export type Standing = 'known' | 'new' | { was: string; is: string };

/** A payment, with all that is shown of it. */
export interface Payment {
  row: ActivityRow;
  amount: bigint;
  evidence: Omit<Evidence, 'row'>;
  approval: ApprovalCard | null;
  /** Whether its payee had never been paid when it was asked for. */
  isNew: boolean;
}

/** What an agent of the stand-in asks for. */
export interface Ask {
  agent: string;
  what: string;
  amount: string;
  payee?: string;
  /** The address to pay to, when it is not the payee's usual one. */
  payTo?: string;
  purpose?: string | null;
  task?: string | null;
  changes?: string[];
  /** When it asked; now if left out. */
  at?: number;
}
