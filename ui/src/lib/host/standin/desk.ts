import type { Commands } from '../generated/commands';
import type {
  ActivityFilter, ActivityPage, ActivityRow, AgentPage, AgentRow, ApprovalCard, Books, BudgetForm, CancelView, Changed,
  DeskStatus, Evidence, EventView, Exported, Finding, FundView, NetworkRow, NewCredential, NewVault, Overview, Pace, RehearsalView, SharedView, SignalView, SignedReceiptView, Verified,
  WindowRow,
} from '../generated/types';
import { raises } from '../../budget';
import { shown, toUnits } from '../../money';
import { budgetNotes } from '../../notes';
import { noteWords } from '../../words';
import { StandinBackups } from './backup';
import { hex } from './hash';
import { payeesOf } from './payees';
import { StandinPrograms } from './programs';
import { rehearse } from './rehearse';
import {
  ASSET, BOUNDING, DANGERS, decide, decimal, elapsedPermille, endOf, figure, inForce, isNear, LIMITS, PLACES, SAID, sentence, startOf, units, WINDOWS,
  type Holder, type Use, type Window,
} from './rules';
import type { Agent, Ask, Payment, Shared, Standing } from './shapes';
import { Signals, type About } from './signals';
import { fail, KEYCHAIN, StandinVault, TREASURY, WORDS, type Table } from './vault';

/** Who is asked about a real network unless the owner says otherwise. */
const USUAL_NODES = ['sepolia.base.org', 'base-sepolia-rpc.publicnode.com'];
/** How long a question stands, and how long the practice chain takes. */
const QUESTION_MS = 10 * 60_000;
const SETTLE_MS = 900;
const CONTRACT = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
export const SHOP_ADDRESS = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

/** States in which money is reserved or signed away and not yet settled. */
const HELD = ['held', 'delivered', 'unknown'];

const usualAddress = (payee: string): string => (payee === 'Corner shop' ? SHOP_ADDRESS : `0x${hex(payee, 40)}`);

const whole = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** The in-memory desk. Figures are exact; keys, chain and disk are not there. */
export class StandinDesk {
  readyCount = 0;
  hasQuit = false;
  frozen = false;
  agents: Agent[] = [];
  payments: Payment[] = [];
  hosts: string[] = [];
  treasury = units('10000');
  block = 1200;
  seq = 0;
  /** Set to make the chain silent. */
  chainSilent = false;
  /** Whether it is a desk on practice money. */
  practice = true;
  /** The hosts that are asked about a real network. */
  nodes: string[] = USUAL_NODES;
  shared: Shared[] = [];
  /** By how much the computer's clock stands behind, or null. */
  clockBehindS: number | null = null;
  /** Set to say that more rows match than were counted. */
  totalIsExact = true;
  /** How many events the vault has not sealed yet. */
  sealedBehind = 0;
  copyChecked = true;
  /** What a desk out of a backup says until it is thawed. */
  restoredNote: string | null = null;
  readonly vault = new StandinVault(() => this.changed('status'));
  readonly programs = new StandinPrograms((key) => this.agents.find((agent) => agent.name.toLowerCase() === key), () => this.vault.needPresence());
  readonly backups = new StandinBackups(() => this.#events, () => this.changed('status'), () => this.vault.needPresence());
  #signals = new Signals();
  #listeners = new Set<(changed: Changed) => void>();
  #events = 0;

  onChanged(heard: (changed: Changed) => void): () => void {
    this.#listeners.add(heard);
    return () => this.#listeners.delete(heard);
  }

  changed(...topics: string[]): void {
    this.seq += 1;
    for (const heard of [...this.#listeners]) heard({ topics, seq: this.seq });
  }

  /** Runs one command by name. */
  async run<N extends keyof Commands>(name: N, args: Commands[N]['args']): Promise<Commands[N]['answer']> {
    const table: Table = {
      ...this.vault.commands(() => this.status()),
      status: () => this.status(),
      overview: () => this.overview(),
      agents: () => this.agents.map((agent) => this.agentRow(agent)),
      agent: (a) => this.agentPage(this.#agent(a.agent)),
      approvals: () => this.approvals(),
      activity: (a) => this.activity(a.filter, a.cursor, a.limit),
      evidence: (a) => this.evidence(a.payment),
      books: () => this.books(),
      verify: (): Verified => ({
        events: this.#events, head: hex(`head${this.#events}`, 64), whole: true, faults: [], sealed: this.#events - this.sealedBehind,
        seal_checked: this.vault.stage === 'open', copy_checked: this.copyChecked,
      }),
      export_csv: (a) => ({ ...this.exportCsv(a.filter), path: a.path }),
      backup: (a) => ({ ...this.backups.make(a.passphrase), path: a.path }),
      backup_progress: () => this.backups.look(),
      networks: () => this.#networks(),
      set_nodes: (a) => this.#setNodes(a.urls),
      payees: () => payeesOf(this.payments.filter((payment) => payment.row.state === 'settled').map(({ row, amount, evidence }) => ({ ...row, amount, payTo: evidence.pay_to, url: evidence.url })), ASSET, () => 0),
      programs: () => this.programs.rows(),
      connection_plan: (a) => this.programs.plan(this.#agent(a.agent).name, a.program),
      connect_program: (a) => this.programs.connect(this.#agent(a.agent).name, a.program, a.diff),
      disconnect_program: (a) => this.programs.disconnect(a.program),
      hosts: () => [...this.hosts],
      fund: () => this.#fund(),
      shared_budgets: () => this.shared.map((shared) => this.#sharedView(shared)),
      signals: () => this.#signals.views(Date.now()),
      rehearse: (a) => this.#rehearse(a.agent, a.budget, a.days),
      create_vault: (a) => this.#createVault(a.passphrase),
      unlock: (a) => this.#unlock(a.passphrase),
      recover: (a) => this.#recover(a.words, a.newPassphrase),
      lock: () => this.#lock(),
      add_agent: (a) => {
        this.vault.needPresence();
        return this.addAgent(a.name, a.grade, a.budget, a.shared);
      },
      set_budget: (a) => this.#setBudget(a.agent, a.budget),
      set_grade: (a) => this.#setGrade(a.agent, a.grade),
      rotate_token: (a) => this.#rotate(a.agent),
      revoke_agent: (a) => this.#revoke(a.agent),
      add_shared: (a) => {
        this.vault.needPresence();
        return this.addShared(a.name, a.budget);
      },
      set_shared: (a) => this.#setShared(a.shared, a.budget),
      join_shared: (a) => {
        if (this.#agent(a.agent).shared !== null) this.vault.needPresence();
        return this.join(a.agent, a.shared);
      },
      refill: (a) => this.#refill(a.agent, a.amount),
      sweep: (a) => this.#sweep(a.agent, a.amount),
      cancel: (a) => this.#cancel(this.payments.find((known) => known.row.payment_id === a.payment) ?? fail('not_found', `there is no payment ${a.payment}`)),
      cancel_all: () => this.payments.filter((payment) => HELD.includes(payment.row.state)).map((payment) => this.#cancel(payment)),
      approve: (a) => {
        if (this.vault.windowLocked) this.vault.needPresence();
        return this.answer(a.approval, true, null);
      },
      refuse: (a) => this.answer(a.approval, false, a.reason),
      freeze: () => this.#freeze(true),
      thaw: () => this.#freeze(false),
      acknowledge: (a) => this.#acknowledge(a.signal),
      accept_clock: () => this.#acceptClock(),
      allow_host: (a) => this.#host(a.host, true),
      remove_host: (a) => this.#host(a.host, false),
    };
    return table[name](args);
  }

  status(): DeskStatus {
    const { danger, why } = this.#danger({});
    return {
      ...this.vault.status(),
      practice: this.practice,
      frozen: this.frozen,
      danger: DANGERS[danger] ?? 'calm',
      danger_why: why === null ? null : whole(why),
      signals: this.#signals.open(Date.now()),
      clock_behind_s: this.clockBehindS,
      copy_note: this.copyChecked ? null : 'No copy of the ledger’s end can be kept in the system keychain, so an older ledger put in its place would not be noticed.',
      restored_note: this.restoredNote,
      backup: this.backups.status(),
      keychain: 'ready',
      keychain_note: null,
      network: {
        name: this.practice ? 'Practice' : 'Base Sepolia', id: this.practice ? 'eip155:31337' : 'eip155:84532', asset: ASSET, contract: CONTRACT, reachable: !this.chainSilent,
        block: this.block, treasury: this.vault.stage === 'new' ? null : TREASURY,
      },
      http_url: 'http://127.0.0.1:4020',
      mcp_url: 'http://127.0.0.1:4020/mcp',
      shop_url: this.practice ? 'http://127.0.0.1:4030' : null,
      waiting: this.approvals().length,
      agents: this.agents.filter((agent) => !agent.revoked).length,
      data_dir: '/home/owner/.local/share/imprest',
      version: '0.1.0',
      seq: this.seq,
    };
  }

  #networks(): NetworkRow[] {
    const own = this.status().network;
    const key = this.practice ? 'practice' : 'base-sepolia';
    const nodes = this.practice ? [] : this.nodes;
    return [{ key, name: own.name, id: own.id, practice: this.practice, own: true, assets: [ASSET], nodes, reachable: own.reachable }];
  }

  #setNodes(urls: string[]): NetworkRow[] {
    if (this.practice) fail('conflict', 'the practice network is this desk’s own and has no other node');
    const hosts = urls.map((url) => (URL.canParse(url) ? new URL(url).hostname : fail('bad_input', 'RPC address: it is not a URL')));
    this.vault.needPresence();
    this.nodes = hosts.length === 0 ? USUAL_NODES : hosts;
    this.#event();
    this.changed('status');
    return this.#networks();
  }

  overview(): Overview {
    const now = Date.now();
    const today = startOf('day', now);
    const sum = (states: string[], since: number): bigint =>
      this.payments.filter((p) => states.includes(p.row.state) && Date.parse(p.row.at) >= since).reduce((all, p) => all + p.amount, 0n);
    const local = new Date(now);
    const two = (n: number): string => String(n).padStart(2, '0');
    return {
      asset: ASSET,
      date: `${local.getFullYear()}-${two(local.getMonth() + 1)}-${two(local.getDate())}`,
      spent_today: decimal(sum(['settled'], today)),
      in_flight: decimal(sum(HELD, 0)),
      at_worst_today: decimal(this.agents.filter((agent) => !agent.revoked).reduce((all, agent) => all + this.#atWorst(agent), 0n)),
      warnings: [
        ...this.agents.filter((agent) => !agent.revoked).flatMap((agent) => this.#warnings(agent.name, agent.budget, [agent])),
        ...this.shared.flatMap((shared) => this.#warnings(shared.name, shared.budget, this.#under(shared.id))),
      ],
      approvals: this.approvals(),
      live: this.rows().slice(0, 20),
      pace: this.agents.filter((agent) => !agent.revoked).flatMap((agent) => this.#pace(agent) ?? []),
    };
  }

  approvals(): ApprovalCard[] {
    for (const payment of this.payments) {
      if (payment.approval && Date.parse(payment.approval.expires_at) <= Date.now()) this.#refuse(payment, 'no_answer', 'The owner did not answer in time.');
    }
    return this.payments.flatMap((payment) => payment.approval ?? []).sort((a, b) => a.asked_at.localeCompare(b.asked_at));
  }

  rows(): ActivityRow[] {
    return this.payments.map((payment) => payment.row).sort((a, b) => b.at.localeCompare(a.at) || b.payment_id.localeCompare(a.payment_id));
  }

  activity(filter: ActivityFilter, cursor: string | null, limit: number): ActivityPage {
    if (limit < 1 || limit > 200) fail('bad_input', 'a page has 1 to 200 rows');
    const matching = this.rows().filter((row) => this.#matches(row, filter));
    const start = cursor === null ? 0 : matching.findIndex((row) => row.payment_id === cursor) + 1;
    const rows = matching.slice(start, start + limit);
    const more = start + limit < matching.length;
    return { rows, next_cursor: more ? (rows.at(-1)?.payment_id ?? null) : null, total: matching.length, total_is_exact: this.totalIsExact };
  }

  evidence(id: string): Evidence {
    const payment = this.payments.find((known) => known.row.payment_id === id) ?? fail('not_found', `there is no payment ${id}`);
    return { row: payment.row, ...payment.evidence };
  }

  books(): Books {
    if (this.chainSilent) fail('chain_unreachable', 'the chain does not answer');
    const floats = this.agents.map((agent) => {
      const ledger = decimal(agent.chain);
      return { agent: agent.name, address: agent.address, ledger, chain: ledger, equal: true };
    });
    return { asset: ASSET, floats, equal: true, block: this.block, in_flight: this.overview().in_flight };
  }

  exportCsv(filter: ActivityFilter): Exported {
    const rows = this.rows().filter((row) => this.#matches(row, filter)).length;
    return { path: '/home/owner/Documents/imprest-activity.csv', rows, sha256: hex(`csv${rows}`, 64) };
  }

  addAgent(name: string, grade: string, budget: BudgetForm, shared: string | null = null): NewCredential {
    this.vault.needOpen();
    if (this.agents.some((agent) => agent.name.toLowerCase() === name.toLowerCase())) fail('name_taken', `there is already an agent named ${name}`);
    this.#check(budget);
    const pool = shared === null ? null : this.#shared(shared).id;
    const agent: Agent = {
      id: `agt_${this.agents.length + 1}`, name, grade, budget, revoked: false,
      address: `0x${hex(`address ${name}`, 40)}`, chain: units('25'), lastSeen: null, shared: pool,
    };
    this.agents.push(agent);
    this.treasury -= agent.chain;
    this.#event();
    this.changed('agents', 'overview', 'status');
    return this.#credential(agent, 'first');
  }

  agentRow(agent: Agent): AgentRow {
    return {
      id: agent.id, name: agent.name, grade: agent.grade, grade_in_force: inForce(agent.grade, this.#danger({ agent: agent.id }).danger), revoked: agent.revoked,
      address: agent.address, float: decimal(agent.chain), asset: ASSET, pace: this.#pace(agent),
      last_seen: agent.lastSeen === null ? null : new Date(agent.lastSeen).toISOString(), sentence: `${agent.name} may spend ${sentence(agent.budget)}`,
      warnings: agent.revoked ? [] : this.#warnings(agent.name, agent.budget, [agent]),
      shared: this.shared.find((shared) => shared.id === agent.shared)?.name ?? null,
    };
  }

  agentPage(agent: Agent): AgentPage {
    const key = agent.name.toLowerCase().replaceAll(' ', '-');
    const limits = BOUNDING.flatMap((window) => {
      const limit = agent.budget[LIMITS[window]];
      return limit === null ? [] : [{ window, limit }];
    });
    const { danger, why } = this.#danger({ agent: agent.id });
    const pool = this.shared.find((shared) => shared.id === agent.shared);
    return {
      row: this.agentRow(agent),
      budget: agent.budget,
      windows: this.#windows(agent.budget, [agent]),
      notes: budgetNotes(agent.budget).map(noteWords),
      shared: pool === undefined ? null : this.#sharedView(pool),
      worst_case: `At worst, ${limits.map(({ window, limit }) => `${shown(limit)} ${ASSET} ${SAID[window]}`).join(' and ')} can be lost, whatever ${agent.name} is told.`,
      grade_reason:
        why === null
          ? `Danger is calm, so ${agent.grade} is in force.`
          : `${agent.grade} was granted; ${why}, so ${inForce(agent.grade, danger)} is in force.`,
      float_on_chain: this.chainSilent ? null : decimal(agent.chain),
      mcp_snippet: JSON.stringify({ mcpServers: { imprest: { command: 'imprest', args: ['mcp', '--agent', key] } } }),
      http_snippet: JSON.stringify({ mcpServers: { imprest: { type: 'http', url: 'http://127.0.0.1:4020/mcp', headers: { Authorization: 'Bearer PUT-THE-TOKEN-HERE' } } } }),
      token_in_keychain: true,
      activity: this.rows().filter((row) => row.agent_id === agent.id).slice(0, 10),
    };
  }

  /** An agent asks; answers the row it became. */
  ask(ask: Ask): ActivityRow {
    const agent = this.#agent(ask.agent);
    const at = ask.at ?? Date.now();
    const amount = units(ask.amount);
    const payee = ask.payee ?? 'Corner shop';
    const standing = this.#standing(agent, payee, ask);
    const usual = this.#usual(ask.what, payee);
    this.#look(payee, amount, standing, usual, at);
    const { danger, why } = this.#danger({ agent: agent.id, payee }, at);
    const findings = decide({
      amount, granted: agent.grade, danger, why, frozen: this.frozen, revoked: agent.revoked, float: agent.chain, at, usual, payee: standing,
      holders: this.#holders(agent, payee, at),
    });
    const payment = this.#record(agent, ask, amount, payee, at, findings);
    payment.isNew = standing === 'new';
    agent.lastSeen = Math.max(at, agent.lastSeen ?? 0);
    this.payments.push(payment);
    const worst = findings[0]?.effect;
    if (worst === 'deny') {
      this.#turn(payment, 'refused', `Refused: ${findings[0]?.message.replace(/\.$/, '') ?? ''}`, 'refused');
      this.#burst(agent, at);
    } else if (worst === 'ask') {
      payment.approval = this.#card(agent, ask, payment, findings, at);
      this.#turn(payment, 'waiting', 'Waiting for you', 'asked');
    } else {
      this.#pay(payment);
    }
    return payment.row;
  }

  /** The owner's answer. */
  answer(approval: string, yes: boolean, reason: string | null): ActivityRow {
    const payment = this.payments.find((known) => known.approval?.id === approval) ?? fail('conflict', 'this question has been answered already');
    if (!yes) {
      this.#refuse(payment, 'owner_refused', reason === null ? 'The owner said no.' : `The owner said no: ${reason}.`);
      return payment.row;
    }
    this.vault.needOpen();
    payment.approval = null;
    payment.evidence.answered_by = 'owner at the desk';
    if (this.frozen) {
      this.#refuse(payment, 'frozen', 'The owner has frozen all payments.');
      return payment.row;
    }
    payment.evidence.findings = payment.evidence.findings.map((f) => (f.effect === 'ask' ? { ...f, effect: 'approved' } : f));
    // A yes to a question that showed what was odd answers it.
    this.#signals.end(['pay_to_changed', 'price_soared'], { payee: payment.row.payee }, Date.now());
    this.#pay(payment);
    return payment.row;
  }

  /** Brings a payment to its end at once, for history. */
  settle(id: string, at: number): void {
    const payment = this.payments.find((known) => known.row.payment_id === id);
    if (payment?.row.state === 'delivered') this.#settled(payment, at);
  }

  #pay(payment: Payment): void {
    const asked = Date.parse(payment.row.at);
    payment.evidence.nonce = `0x${hex(`nonce${payment.row.payment_id}`, 64)}`;
    payment.evidence.valid_after = new Date(asked).toISOString();
    payment.evidence.valid_before = new Date(asked + 120_000).toISOString();
    this.#note(payment, 'held', asked);
    payment.evidence.response_status = 200;
    payment.evidence.response_sha256 = hex(`body${payment.row.payment_id}`, 64);
    payment.evidence.receipt = this.#receipt(payment, asked);
    const until = new Date(asked + 120_000).toTimeString().slice(0, 8);
    this.#turn(payment, 'delivered', `In flight, can be taken until ${until}`, 'delivered');
    if (Date.now() - asked < 60_000) setTimeout(() => { if (payment.row.state === 'delivered') this.#settled(payment, Date.now()); }, SETTLE_MS);
  }

  /** What a payee signs for what it was paid. */
  #receipt(payment: Payment, at: number): SignedReceiptView {
    const { network, url, from, pay_to } = payment.evidence;
    const payload = { version: 1, network, resourceUrl: url, payer: from, issuedAt: Math.floor(at / 1000), transaction: '' };
    const document = JSON.stringify({ format: 'eip712', payload, signature: `0x${hex(`receipt${payment.row.payment_id}`, 130)}` });
    return { document, signer: pay_to, faults: [] };
  }

  #settled(payment: Payment, at: number): void {
    const agent = this.#agent(payment.row.agent_id);
    agent.chain -= payment.amount;
    this.block += 3;
    payment.evidence.transaction = `0x${hex(`tx${payment.row.payment_id}`, 64)}`;
    payment.evidence.block = this.block;
    this.#turn(payment, 'settled', `Settled, block ${this.block}`, 'settled', at);
  }

  #refuse(payment: Payment, code: string, message: string): void {
    payment.approval = null;
    payment.evidence.verdict = 'deny';
    payment.evidence.findings = [{ code, effect: 'deny', message, note: null }, ...payment.evidence.findings];
    this.#turn(payment, 'refused', `Refused: ${message.charAt(0).toLowerCase()}${message.slice(1).replace(/\.$/, '')}`, 'refused');
  }

  #turn(payment: Payment, state: string, outcome: string, kind: string, at = Date.parse(payment.row.at)): void {
    payment.row = { ...payment.row, state, outcome };
    this.#note(payment, kind, at);
    this.changed('activity', 'overview', 'agents', 'status');
  }

  #note(payment: Payment, kind: string, at: number): void {
    const event: EventView = { seq: this.#event(), at: new Date(at).toISOString(), kind: `payment ${kind}`, hash: hex(`event${this.#events}`, 64) };
    payment.evidence.events = [...payment.evidence.events, event];
  }

  #event(): number {
    this.#events += 1;
    return this.#events;
  }

  #record(agent: Agent, ask: Ask, amount: bigint, payee: string, at: number, findings: Finding[]): Payment {
    const id = `pay_${String(this.payments.length + 1).padStart(5, '0')}`;
    const host = payee === 'Corner shop' ? 'http://127.0.0.1:4030' : `https://${payee}`;
    const url = `${host}/${ask.what.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
    const worst = findings[0]?.effect;
    const payTo = ask.payTo ?? usualAddress(payee);
    return {
      amount,
      approval: null,
      isNew: false,
      row: {
        payment_id: id, at: new Date(at).toISOString(), agent: agent.name, agent_id: agent.id, what: ask.what, payee,
        amount: decimal(amount), asset: ASSET, state: 'held', outcome: '',
      },
      evidence: {
        url, method: 'GET', from: agent.address, pay_to: payTo, network: 'eip155:31337', contract: CONTRACT,
        purpose: ask.purpose ?? null, verdict: worst === 'deny' ? 'deny' : worst === 'ask' ? 'ask' : 'allow', answered_by: null,
        grade: inForce(agent.grade, this.#danger({ agent: agent.id, payee }, at).danger), findings,
        offer: JSON.stringify({ scheme: 'exact', network: 'eip155:31337', amount: String(amount), asset: CONTRACT, payTo, maxTimeoutSeconds: 120, description: ask.what }),
        nonce: null, valid_after: null, valid_before: null, transaction: null, block: null, response_sha256: null, response_status: null, receipt: null, events: [],
      },
    };
  }

  #card(agent: Agent, ask: Ask, payment: Payment, findings: Finding[], at: number): ApprovalCard {
    const shortest = BOUNDING.find((window) => agent.budget[LIMITS[window]] !== null) ?? 'day';
    const limit = agent.budget[LIMITS[shortest]];
    const used = this.#used([agent], shortest);
    const said = SAID[shortest];
    return {
      id: `apv_${payment.row.payment_id.slice(4)}`, payment_id: payment.row.payment_id, agent: agent.name, agent_id: agent.id,
      what: ask.what, amount: payment.row.amount, asset: ASSET, origin: payment.row.payee, pay_to: payment.evidence.pay_to, url: payment.evidence.url,
      reasons: findings.filter((finding) => finding.effect === 'ask').map((finding) => finding.message),
      left_after: limit === null ? null : `${shown(decimal(units(limit) - used.settled - used.open - payment.amount))} of ${shown(limit)} left ${said}`,
      changes: ask.changes ?? [], purpose: ask.purpose ?? null, task: ask.task ?? null,
      asked_at: new Date(at).toISOString(), expires_at: new Date(at + QUESTION_MS).toISOString(),
    };
  }

  #used(agents: readonly Agent[], window: Window, now = Date.now()): { settled: bigint; open: bigint } {
    const since = startOf(window, now);
    const ids = agents.map((agent) => agent.id);
    const mine = this.payments.filter((p) => ids.includes(p.row.agent_id) && Date.parse(p.row.at) >= since);
    const sum = (states: string[]): bigint => mine.filter((p) => states.includes(p.row.state)).reduce((all, p) => all + p.amount, 0n);
    return { settled: sum(['settled']), open: sum(HELD) };
  }

  #under(shared: string): Agent[] {
    return this.agents.filter((agent) => agent.shared === shared);
  }

  #windows(budget: BudgetForm, agents: readonly Agent[]): WindowRow[] {
    return WINDOWS.flatMap((window) => {
      const limit = budget[LIMITS[window]];
      if (limit === null) return [];
      const { settled, open } = this.#used(agents, window);
      const left = units(limit) - settled - open;
      // An hour has no start of its own: all that was reserved in it counts as spent.
      const hour = window === 'hour';
      return {
        window, limit, spent: decimal(hour ? settled + open : settled), in_flight: decimal(hour ? 0n : open), left: decimal(left > 0n ? left : 0n),
        resets_at: hour || window === 'lifetime' ? null : new Date(endOf(window, Date.now())).toISOString(), warn: isNear(units(limit), settled + open),
      };
    });
  }

  #warnings(who: string, budget: BudgetForm, agents: readonly Agent[]): string[] {
    return this.#windows(budget, agents).filter((row) => row.warn).map((row) => {
      const used = ((units(row.spent) + units(row.in_flight)) * 100n) / units(row.limit);
      const limit = shown(row.limit);
      const of = { hour: `${limit} for any 60 minutes`, day: `today’s ${limit}`, week: `this week’s ${limit}`, month: `this month’s ${limit}`, lifetime: `its ${limit} in all` };
      return `${who} has used ${used} % of ${of[row.window as Window]}.`;
    });
  }

  #sharedView(shared: Shared): SharedView {
    const under = this.#under(shared.id);
    return {
      id: shared.id, name: shared.name, budget: shared.budget, windows: this.#windows(shared.budget, under),
      agents: under.filter((agent) => !agent.revoked).map((agent) => agent.name),
      sentence: `Agents under ${shared.name} may together spend ${sentence(shared.budget)}`, notes: budgetNotes(shared.budget).map(noteWords),
    };
  }

  #use(agents: readonly Agent[], payee: string, at: number): Use {
    const ids = agents.map((agent) => agent.id);
    const spent = this.payments.filter((p) => ids.includes(p.row.agent_id) && [...HELD, 'settled'].includes(p.row.state));
    const sum = (which: (p: Payment) => boolean): bigint => spent.filter(which).reduce((all, p) => all + p.amount, 0n);
    const since = (p: Payment, window: Window): boolean => Date.parse(p.row.at) >= startOf(window, at);
    return {
      windows: Object.fromEntries(WINDOWS.map((window) => [window, sum((p) => since(p, window))])) as Record<Window, bigint>,
      countHour: spent.filter((p) => since(p, 'hour')).length,
      payeeDay: sum((p) => since(p, 'day') && p.row.payee === payee),
      newPayeeDay: sum((p) => since(p, 'day') && p.isNew),
      exposure: sum((p) => HELD.includes(p.row.state)),
    };
  }

  #holders(agent: Agent, payee: string, at: number): Holder[] {
    const pool = this.shared.find((shared) => shared.id === agent.shared);
    return [
      { name: null, budget: agent.budget, use: this.#use([agent], payee, at) },
      ...(pool === undefined ? [] : [{ name: pool.name, budget: pool.budget, use: this.#use(this.#under(pool.id), payee, at) }]),
    ];
  }

  /** What the agent knows of a payee, from what was settled before. */
  #standing(agent: Agent, payee: string, ask: Ask): Standing {
    const before = this.payments.filter((p) => p.row.payee === payee && p.row.agent_id === agent.id && p.row.state === 'settled').at(-1);
    const was = before?.evidence.pay_to ?? (payee === 'Corner shop' ? SHOP_ADDRESS : undefined);
    if (was === undefined) return 'new';
    const is = ask.payTo ?? usualAddress(payee);
    return is === was ? 'known' : { was, is };
  }

  /** The median of the last prices of the same thing, once there are three. */
  #usual(what: string, payee: string): bigint | null {
    const prices = this.payments.filter((p) => p.row.what === what && p.row.payee === payee && p.row.state === 'settled').slice(-10).map((p) => p.amount);
    if (prices.length < 3) return null;
    return prices.sort((a, b) => (a < b ? -1 : 1))[Math.floor((prices.length - 1) / 2)] ?? null;
  }

  #look(payee: string, amount: bigint, standing: Standing, usual: bigint | null, at: number): void {
    if (typeof standing !== 'string') this.raise('pay_to_changed', payee, `${payee} asks to be paid at ${standing.is} instead of ${standing.was}`, { payee }, at);
    if (usual === null || amount <= 2n * usual) return;
    const detail = `${payee} asks ${figure(amount)} ${ASSET} where ${figure(usual)} was usual`;
    this.raise(amount > 5n * usual ? 'price_soared' : 'price_jumped', payee, detail, { payee }, at);
  }

  /** Three hard refusals within ten minutes make every payment of the agent a question. */
  #burst(agent: Agent, at: number): void {
    const recent = this.payments.filter((p) => p.row.agent_id === agent.id && p.row.state === 'refused' && at - Date.parse(p.row.at) < 600_000);
    if (recent.length >= 3) this.raise('refusal_burst', agent.name, 'it was refused three times in ten minutes', { agent: agent.id }, at);
  }

  /** Something looks odd. */
  raise(kind: string, subject: string, detail: string, about: About = {}, at = Date.now()): void {
    this.#signals.raise(this.#event(), kind, subject, detail, about, at);
    this.changed('status', 'overview', 'agents');
  }

  /** What disagreed agrees again, or was answered. */
  agreed(kind: string, about: About = {}, at = Date.now()): void {
    this.#signals.end([kind], about, at);
    this.changed('status', 'overview', 'agents');
  }

  /** The computer's clock stands behind the books by so much, or is right again. */
  setClock(behindS: number | null): void {
    this.clockBehindS = behindS;
    this.changed('status', 'overview', 'agents');
  }

  #danger(about: About, now = Date.now()): { danger: number; why: string | null } {
    const found = this.#signals.danger(about, now);
    if (this.clockBehindS === null || found.danger >= 2) return found;
    return { danger: 2, why: 'the computer’s clock was set back by more than two minutes' };
  }

  #acknowledge(seq: number): SignalView[] {
    this.vault.needPresence();
    if (!this.#signals.acknowledge(seq, Date.now())) fail('not_found', `there is no open signal ${seq}`);
    this.#event();
    this.changed('status', 'overview', 'agents');
    return this.#signals.views(Date.now());
  }

  #acceptClock(): DeskStatus {
    if (this.clockBehindS === null) fail('bad_input', 'the clock is not behind');
    this.vault.needPresence();
    this.#event();
    this.setClock(null);
    return this.status();
  }

  #rehearse(name: string, budget: BudgetForm, days: number): RehearsalView {
    this.#check(budget);
    const agent = this.#agent(name);
    const since = Date.now() - days * 86_400_000;
    const mine = this.payments.filter((p) => p.row.agent_id === agent.id && Date.parse(p.row.at) >= since);
    const past = mine.map((p) => ({
      at: Date.parse(p.row.at), payee: p.row.payee, amount: p.amount, isNew: p.isNew,
      saidYes: p.evidence.findings.some((finding) => finding.effect === 'approved'), paid: [...HELD, 'settled'].includes(p.row.state),
    }));
    return rehearse(budget, agent.grade, past, days);
  }

  #atWorst(agent: Agent): bigint {
    let least = agent.chain;
    const pool = this.shared.find((shared) => shared.id === agent.shared);
    const holders = [{ budget: agent.budget, agents: [agent] }, ...(pool === undefined ? [] : [{ budget: pool.budget, agents: this.#under(pool.id) }])];
    for (const { budget, agents } of holders) {
      for (const window of BOUNDING) {
        const limit = budget[LIMITS[window]];
        if (limit === null) continue;
        // What is in flight can still be lost, what is settled is spent already.
        const left = units(limit) - this.#used(agents, window).settled;
        least = left < least ? left : least;
      }
    }
    return least > 0n ? least : 0n;
  }

  #pace(agent: Agent): Pace | null {
    const window = (['month', 'week', 'day', 'lifetime'] as const).find((w) => agent.budget[LIMITS[w]] !== null);
    const limit = window === undefined ? null : agent.budget[LIMITS[window]];
    if (window === undefined || limit === null) return null;
    const used = this.#used([agent], window);
    const share = (part: bigint): number => (units(limit) === 0n ? 0 : Number((part * 1000n) / units(limit)));
    const elapsed = elapsedPermille(window, Date.now());
    const due = (units(limit) * BigInt(elapsed)) / 1000n;
    const ahead = used.settled - due;
    const rule = agent.grade === 'L2' ? 'asks every time' : agent.budget.per_payment === null ? 'no limit per payment' : `asks above ${shown(agent.budget.per_payment)}`;
    return {
      agent_id: agent.id, agent: agent.name, window, spent: decimal(used.settled), in_flight: decimal(used.open), limit,
      spent_permille: share(used.settled), in_flight_permille: share(used.open), elapsed_permille: elapsed, warn: isNear(units(limit), used.settled + used.open),
      note: ahead > 0n ? `Ahead of pace by ${shown(decimal(ahead))}. ${agent.grade}, ${rule}.` : `Under pace. ${agent.grade}, ${rule}.`,
    };
  }

  #matches(row: ActivityRow, filter: ActivityFilter): boolean {
    const text = filter.text?.toLowerCase();
    const payment = this.payments.find((known) => known.row.payment_id === row.payment_id);
    const words = [row.payee, row.what, payment?.evidence.pay_to, payment?.evidence.purpose, payment?.evidence.url].join(' ').toLowerCase();
    return (
      (filter.agent_id === null || row.agent_id === filter.agent_id) &&
      (filter.state === null || row.state === filter.state) &&
      (filter.from === null || Date.parse(row.at) >= Date.parse(filter.from)) &&
      (filter.until === null || Date.parse(row.at) < Date.parse(filter.until)) &&
      (text === undefined || words.includes(text))
    );
  }

  #agent(idOrName: string): Agent {
    return this.agents.find((agent) => agent.id === idOrName || agent.name === idOrName) ?? fail('not_found', `there is no agent ${idOrName}`);
  }

  #credential(agent: Agent, turn: string): NewCredential {
    this.vault.needOpen();
    return { agent: this.agentRow(agent), token: `imp_${hex(`${agent.id}${turn}${this.seq}`, 43)}`, token_in_keychain: true, note: null, notes: turn === 'first' ? budgetNotes(agent.budget).map(noteWords) : [] };
  }

  #check(budget: BudgetForm): void {
    const sums = [budget.per_payment, ...WINDOWS.map((window) => budget[LIMITS[window]]), budget.per_payee_day, budget.per_new_payee_day, budget.exposure];
    for (const limit of sums) {
      if (limit !== null && toUnits(limit, PLACES) === null) fail('bad_input', `“${limit}” is no amount of ${ASSET} with at most ${PLACES} decimals`);
    }
    if (BOUNDING.every((window) => budget[LIMITS[window]] === null)) fail('bad_input', 'set at least one limit over time: per day, week, month or lifetime');
  }

  #shared(idOrName: string): Shared {
    return this.shared.find((shared) => shared.id === idOrName || shared.name === idOrName) ?? fail('not_found', `there is no shared budget ${idOrName}`);
  }

  /** Makes a budget for several agents to share. */
  addShared(name: string, budget: BudgetForm): SharedView {
    this.vault.needOpen();
    if (this.shared.some((shared) => shared.name.toLowerCase() === name.toLowerCase())) fail('name_taken', `there is already a shared budget named ${name}`);
    this.#check(budget);
    const shared: Shared = { id: `shr_${this.shared.length + 1}`, name, budget };
    this.shared.push(shared);
    this.#event();
    this.changed('overview', 'agents');
    return this.#sharedView(shared);
  }

  #setShared(name: string, budget: BudgetForm): SharedView {
    this.vault.needOpen();
    this.#check(budget);
    const shared = this.#shared(name);
    if (raises(shared.budget, budget).length > 0) this.vault.needPresence();
    shared.budget = budget;
    this.#event();
    this.changed('overview', 'agents');
    return this.#sharedView(shared);
  }

  /** Puts an agent under a shared budget, or takes it out. */
  join(name: string, shared: string | null): AgentPage {
    this.vault.needOpen();
    const agent = this.#agent(name);
    agent.shared = shared === null ? null : this.#shared(shared).id;
    this.#event();
    this.changed('agents', 'overview');
    return this.agentPage(agent);
  }

  #rotate(name: string): NewCredential {
    this.vault.needPresence();
    const agent = this.#agent(name);
    const made = this.#credential(agent, 'again');
    this.#signals.end(['credential_elsewhere'], { agent: agent.id }, Date.now());
    this.changed('status', 'overview', 'agents');
    return made;
  }

  #createVault(passphrase: string): NewVault {
    if (this.vault.stage !== 'new') fail('vault_exists', 'this desk has a vault already');
    if (Array.from(passphrase).length < 10) fail('bad_input', 'a passphrase has at least 10 characters');
    this.openWith(passphrase);
    return { words: WORDS.split(' '), way: 'strong', keychain: KEYCHAIN };
  }

  /** Makes the vault and opens it. */
  openWith(passphrase: string): void {
    this.vault.openWith(passphrase);
    this.#event();
    this.changed('status');
  }

  #unlock(passphrase: string): DeskStatus {
    this.vault.unlock(passphrase);
    return this.#opened();
  }

  #recover(words: string, passphrase: string): DeskStatus {
    this.vault.recover(words, passphrase);
    return this.#opened();
  }

  #opened(): DeskStatus {
    this.#event();
    this.changed('status');
    return this.status();
  }

  #lock(): DeskStatus {
    this.vault.lock();
    return this.status();
  }

  #setBudget(name: string, budget: BudgetForm): AgentPage {
    this.vault.needOpen();
    this.#check(budget);
    const agent = this.#agent(name);
    if (raises(agent.budget, budget).length > 0) this.vault.needPresence();
    agent.budget = budget;
    this.#event();
    this.changed('agents', 'overview');
    return this.agentPage(agent);
  }

  #setGrade(name: string, grade: string): AgentPage {
    this.vault.needOpen();
    const agent = this.#agent(name);
    if (grade > agent.grade) this.vault.needPresence();
    agent.grade = grade;
    this.#event();
    this.changed('agents', 'overview');
    return this.agentPage(agent);
  }

  #revoke(name: string): AgentRow {
    const agent = this.#agent(name);
    agent.revoked = true;
    this.#event();
    this.changed('agents', 'overview', 'status');
    return this.agentRow(agent);
  }

  async #refill(name: string, text: string): Promise<AgentPage> {
    this.vault.needPresence();
    if (this.chainSilent) fail('chain_unreachable', 'the chain does not answer');
    const amount = toUnits(text, PLACES) ?? fail('bad_input', `“${text}” is no amount of ${ASSET}`);
    if (amount > this.treasury) fail('bad_input', `the treasury holds ${shown(decimal(this.treasury))}, less than ${shown(text)}`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS / 3));
    const agent = this.#agent(name);
    agent.chain += amount;
    this.treasury -= amount;
    this.block += 1;
    this.#event();
    this.changed('agents', 'overview');
    return this.agentPage(agent);
  }

  #fund(): FundView {
    const treasury = this.vault.stage === 'open' ? TREASURY : fail('locked', 'the vault is locked, and the treasury’s address is known once it is open');
    return {
      address: treasury, network: 'Practice', network_id: 'eip155:31337', asset: ASSET, contract: CONTRACT,
      balance: this.chainSilent ? null : decimal(this.treasury), coin: this.chainSilent ? null : '10',
      note: 'This is practice money, and the desk fills it up by itself. Send nothing real here.',
    };
  }

  async #sweep(name: string, text: string | null): Promise<AgentPage> {
    this.vault.needPresence();
    if (this.chainSilent) fail('chain_unreachable', 'the chain does not answer');
    const agent = this.#agent(name);
    const free = agent.chain - this.#used([agent], 'lifetime').open;
    const amount = text === null ? free : (toUnits(text, PLACES) ?? fail('bad_input', `“${text}” is no amount of ${ASSET}`));
    if (amount > free || amount <= 0n) fail('conflict', `the float holds ${shown(decimal(free))} that no payment has reserved`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS / 3));
    agent.chain -= amount;
    this.treasury += amount;
    this.block += 1;
    this.#event();
    this.changed('agents', 'overview');
    return this.agentPage(agent);
  }

  #cancel(payment: Payment): CancelView {
    this.vault.needOpen();
    if (!HELD.includes(payment.row.state)) fail('conflict', `the payment is ${payment.row.state}, so there is no signature of it to cancel`);
    this.block += 1;
    this.#turn(payment, 'expired', 'Never taken, the money is back', 'expired', Date.now());
    const { payment_id, agent, payee, amount, asset } = payment.row;
    const sentence = `Burnt in block ${this.block}: it can never be paid. The money is free once that block is final.`;
    return { payment_id, agent, payee, amount, asset, end: 'burnt', sentence, transaction: `0x${hex(`cancel${payment_id}`, 64)}` };
  }

  #freeze(frozen: boolean): DeskStatus {
    if (!frozen) {
      this.vault.needPresence();
      this.restoredNote = null;
    }
    this.frozen = frozen;
    this.#event();
    this.changed('status', 'overview');
    return this.status();
  }

  #host(host: string, allow: boolean): string[] {
    if (allow) {
      this.vault.needPresence();
      if (!/^[\w.[\]:-]+:\d{1,5}$/.test(host)) fail('bad_input', `“${host}” is no host and port`);
      this.hosts = [...new Set([...this.hosts, host])];
    } else {
      this.hosts = this.hosts.filter((known) => known !== host);
    }
    this.changed('status');
    return [...this.hosts];
  }
}
