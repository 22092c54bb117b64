import type { ConnectionPlan, ProgramRow } from '../generated/types';
import { fail } from './vault';

interface Settings {
  title: string;
  path: string;
  /** What stands under the desk's name there. */
  holds: { agent: string } | 'free' | 'taken' | { problem: string };
}

/** The agent programs of the in-memory desk: three of each kind that can be met. */
export class StandinPrograms {
  /** Set to have somebody else change the settings between looking and connecting. */
  changed = false;
  readonly found = new Map<string, Settings>([
    ['claude-code', { title: 'Claude Code', path: '/home/owner/.claude.json', holds: 'free' }],
    ['codex', { title: 'Codex', path: '/home/owner/.codex/config.toml', holds: { problem: '/home/owner/.codex/config.toml cannot be read at line 3, column 9: a value is missing. It was left alone; correct that place, then try again.' } }],
    ['cursor', { title: 'Cursor', path: '/home/owner/.cursor/mcp.json', holds: 'taken' }],
  ]);

  readonly #agentOf: (key: string) => { id: string; name: string } | undefined;
  readonly #needPresence: () => void;

  constructor(agentOf: (key: string) => { id: string; name: string } | undefined, needPresence: () => void) {
    this.#agentOf = agentOf;
    this.#needPresence = needPresence;
  }

  rows(): ProgramRow[] {
    return [...this.found].map(([program, { title, path, holds }]) => {
      const whose = typeof holds === 'object' && 'agent' in holds ? holds.agent : null;
      const known = whose === null ? undefined : this.#agentOf(whose);
      const state = typeof holds === 'string' ? holds : 'agent' in holds ? 'connected' : 'unreadable';
      const problem = typeof holds === 'object' && 'problem' in holds ? holds.problem : null;
      return { program, title, settings: path, state, agent_id: known?.id ?? null, agent: known?.name ?? whose, problem };
    });
  }

  plan(agent: string, program: string): ConnectionPlan {
    const { title, path, holds } = this.#known(program);
    if (holds === 'taken') fail('conflict', `${path} already has a server called “imprest” that is not this desk’s`, 'Choose another name.');
    if (typeof holds === 'object' && 'problem' in holds) fail('disk', holds.problem);
    const was = typeof holds === 'object' ? holds.agent : undefined;
    const key = agent.toLowerCase();
    const entry = (name: string, sign: string): string => `${sign}      "args": ["mcp", "--agent", "${name}"]`;
    const change = was === undefined
      ? [' {', '-  "mcpServers": {}', '+  "mcpServers": {', '+    "imprest": {', '+      "type": "stdio",', '+      "command": "/usr/bin/imprest",', entry(key, '+'), '+    }', '+  }', ' }']
      : ['       "command": "/usr/bin/imprest",', entry(was, '-'), entry(key, '+'), '     }'];
    const needed = was !== key;
    return { program, title, settings: path, needed, replaces: was !== undefined, diff: needed ? [`--- ${path}`, `+++ ${path}`, '@@ -1,3 +1,8 @@', ...change, ''].join('\n') : '' };
  }

  connect(agent: string, program: string, diff: string): ProgramRow[] {
    this.#needPresence();
    const settings = this.#known(program);
    if (this.changed || this.plan(agent, program).diff !== diff) {
      fail('conflict', `${settings.path} was changed by another program meanwhile, so nothing was written`, 'Try again, and look at the change once more.');
    }
    settings.holds = { agent: agent.toLowerCase() };
    return this.rows();
  }

  disconnect(program: string): ProgramRow[] {
    const settings = this.#known(program);
    if (typeof settings.holds !== 'object' || !('agent' in settings.holds)) fail('not_found', `${settings.path} has no server called “imprest” that is this desk’s`);
    settings.holds = 'free';
    return this.rows();
  }

  #known(program: string): Settings {
    return this.found.get(program) ?? fail('bad_input', `program: ${program} was not found here`);
  }
}
