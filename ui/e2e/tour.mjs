// Every screen and what lies over it, by name: how to get there on a seeded page.
const at = (testid) => `[data-testid="${testid}"]`;
const hash = (path) => async (page) => {
  await page.evaluate((to) => (window.location.hash = to), path);
};
const passphrase = 'seven grey herons read maps';
/** The passphrase of every seeded vault. */
const SEED_PASSPHRASE = 'correct horse battery staple';

async function vault(page) {
  await page.fill(at('passphrase'), passphrase);
  await page.fill(at('passphrase-again'), passphrase);
  await page.click(at('create-vault'));
  await page.waitForSelector(at('words'));
}

async function confirmed(page) {
  await vault(page);
  const words = await page.locator(at('word')).allTextContents();
  await page.click(at('words-written'));
  for (const input of await page.locator(at('confirm-word')).all()) {
    await input.fill(words[Number(await input.getAttribute('data-place')) - 1]);
  }
}

/** Once the desk has said what the form would have done. */
const REHEARSED = `${at('rehearsal')}[data-old="false"]`;

/** An older ledger was put in the place of the right one. */
const halted = async (page) => {
  await page.evaluate(() => window.imprestStandin.raise('rolled_back', 'the desk', 'the ledger is another than the one whose event 412 was copied to the keychain'));
  await page.waitForSelector(at('danger'));
};

/** The owner has been away for longer than a passphrase counts. */
const away = (page) => page.evaluate(() => { window.imprestStandin.vault.presenceUntil = 0; });

export const SCREENS = [
  { name: 'welcome', seed: 'new', wait: at('create-vault'), go: async (page) => { await page.fill(at('passphrase'), 'herons read'); } },
  { name: 'welcome-words', seed: 'new', wait: at('word'), go: vault },
  { name: 'welcome-confirm', seed: 'new', wait: at('confirm-words'), go: confirmed },
  {
    name: 'welcome-practice', seed: 'new', wait: at('practice-go'),
    go: async (page) => { await confirmed(page); await page.click(at('confirm-words')); },
  },
  {
    name: 'welcome-agent', seed: 'new', wait: at('create-agent'),
    go: async (page) => { await confirmed(page); await page.click(at('confirm-words')); await page.click(at('practice-go')); await page.fill(at('agent-name'), 'Scout'); },
  },
  {
    name: 'welcome-connect', seed: 'new', wait: at('snippet-mcp'),
    go: async (page) => {
      await confirmed(page); await page.click(at('confirm-words')); await page.click(at('practice-go'));
      await page.fill(at('agent-name'), 'Scout'); await page.click(at('create-agent'));
    },
  },
  { name: 'unlock', seed: 'locked', wait: at('unlock') },
  { name: 'recover', seed: 'locked', wait: at('recover'), go: (page) => page.click(at('lost-passphrase')) },
  { name: 'desk', seed: 'month', wait: at('approval'), sizes: [[1280, 800], [900, 600]] },
  { name: 'desk-refusing', seed: 'month', wait: at('refuse-reason'), go: (page) => page.click(at('refuse')) },
  { name: 'desk-frozen', seed: 'month', wait: at('frozen'), go: (page) => page.click(at('freeze')) },
  {
    name: 'desk-restored', seed: 'month', wait: at('frozen'),
    go: (page) => page.evaluate(() => {
      window.imprestStandin.restoredNote = 'These books come from a backup of 20 November. The chain is being read for what was spent since; then look at the agents and their limits, and thaw the desk.';
      return window.imprestStandin.run('freeze', {});
    }),
    sizes: [[1280, 800], [320, 640]],
  },
  { name: 'desk-thaw', seed: 'month', wait: at('thaw-dialog'), go: async (page) => { await page.click(at('freeze')); await page.click(at('thaw')); } },
  { name: 'desk-empty', seed: 'empty', wait: 'h1' },
  { name: 'desk-several', seed: 'month', wait: `${at('approval')}:nth-of-type(2)`, go: (page) => page.evaluate(() => { window.imprestStandin.ask({ agent: 'Night shift', what: 'Model card, large', amount: '0.4', payee: 'weights.example' }); }) },
  { name: 'desk-guarded', seed: 'guarded', wait: at('danger'), sizes: [[1280, 800], [320, 640]] },
  { name: 'desk-halted', seed: 'month', wait: `${at('danger')}[data-level="halted"]`, go: halted },
  { name: 'desk-odd', seed: 'odd', wait: at('odd') },
  { name: 'desk-near', seed: 'team', wait: at('warning') },
  { name: 'desk-clock', seed: 'clock', wait: at('clock') },
  { name: 'desk-clock-dialog', seed: 'clock', wait: at('clock-dialog'), go: (page) => page.click(at('accept-clock')) },
  { name: 'unlock-guarded', seed: 'guarded', wait: at('unlock'), go: async (page) => { await page.evaluate(() => window.imprestStandin.run('lock', {})); } },
  { name: 'signals', seed: 'guarded', wait: at('signal'), go: hash('#/signals'), sizes: [[1280, 800], [320, 900]] },
  { name: 'signals-over', seed: 'odd', wait: `${at('signal')}[data-open="false"]`, go: async (page) => { await hash('#/signals')(page); await page.click(at('seen')); await page.waitForSelector(at('note')); } },
  { name: 'signals-none', seed: 'month', wait: at('no-signals'), go: hash('#/signals') },
  { name: 'signals-thought', seed: 'month', wait: at('seen-dialog'), go: async (page) => { await halted(page); await hash('#/signals')(page); await page.click(at('seen')); } },
  { name: 'agents-shared', seed: 'team', wait: at('shared-row'), go: hash('#/agents'), sizes: [[1280, 800], [320, 900]] },
  { name: 'shared', seed: 'team', wait: at('member'), go: hash('#/shared/shr_1') },
  {
    name: 'shared-editing', seed: 'team', wait: at('raised'),
    go: async (page) => { await hash('#/shared/shr_1')(page); await page.fill(at('budget-amount'), '0.5'); await page.click(at('more-limits')); },
  },
  { name: 'shared-new', seed: 'month', wait: at('create-shared'), go: hash('#/shared/new') },
  { name: 'agent-limits', seed: 'team', wait: REHEARSED, go: async (page) => { await hash('#/agents/agt_1')(page); await page.click(at('more-limits')); }, sizes: [[1280, 1100], [320, 1400], [900, 600]] },
  { name: 'agent-near', seed: 'team', wait: REHEARSED, go: hash('#/agents/agt_1') },
  { name: 'agent-lowered', seed: 'odd', wait: at('lowered'), go: async (page) => { await hash('#/agents/agt_2')(page); await page.waitForSelector(REHEARSED); } },
  {
    name: 'agent-notes', seed: 'month', wait: at('budget-notes'),
    go: async (page) => {
      await hash('#/agents/agt_1')(page); await page.click(at('more-limits'));
      await page.fill(at('limit-hour'), '0'); await page.fill(at('limit-exposure'), '0.5'); await page.fill(at('limit-payeeDay'), '80');
      await page.fill(at('hours-from'), '22:00'); await page.fill(at('hours-until'), '06:00'); await page.waitForSelector(REHEARSED);
    },
    sizes: [[1280, 1100]],
  },
  {
    name: 'evidence-burning', seed: 'month', wait: at('burn-confirm'),
    go: async (page) => {
      await page.evaluate(() => window.imprestStandin.ask({ agent: 'Scout', what: 'Weather report', amount: '0.01' }));
      await page.click(`${at('row')} >> nth=0`); await page.click(at('burn')); await page.locator(at('burn-confirm')).scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'agent-programs', seed: 'month', wait: at('program-claude-code'),
    go: async (page) => { await hash('#/agents/agt_1')(page); await page.locator('#connect').scrollIntoViewIfNeeded(); await page.locator('#float').scrollIntoViewIfNeeded(); },
    sizes: [[1280, 900], [320, 900]],
  },
  {
    name: 'agent-connecting', seed: 'month', wait: at('connection-diff'),
    go: async (page) => { await hash('#/agents/agt_1')(page); await page.click(at('connect-claude-code')); },
    sizes: [[1280, 900], [320, 640]],
  },
  {
    name: 'agent-float', seed: 'month', wait: REHEARSED,
    go: async (page) => { await hash('#/agents/agt_1')(page); await page.waitForSelector(REHEARSED); await page.locator(at('sweep')).scrollIntoViewIfNeeded(); },
  },
  {
    name: 'settings-nodes', seed: 'month', wait: at('nodes-text'),
    go: async (page) => {
      await hash('#/settings')(page);
      await page.evaluate(() => { window.imprestStandin.practice = false; window.imprestStandin.changed('status'); });
      await page.click(at('choose-nodes'));
    },
  },
  {
    name: 'settings-real', seed: 'month', wait: at('choose-nodes'),
    go: async (page) => {
      await hash('#/settings')(page);
      await page.evaluate(() => { window.imprestStandin.practice = false; window.imprestStandin.changed('status'); });
    },
  },
  { name: 'agents', seed: 'month', wait: at('agent-row'), go: hash('#/agents') },
  { name: 'agent', seed: 'month', wait: at('grade-L3'), go: hash('#/agents/agt_1') },
  {
    name: 'agent-editing', seed: 'month', wait: at('raised'),
    go: async (page) => { await hash('#/agents/agt_1')(page); await page.fill(at('budget-per-payment'), '0.5'); await page.click(at('more-limits')); },
  },
  {
    name: 'agent-fault', seed: 'month', wait: at('budget-fault'),
    go: async (page) => { await hash('#/agents/agt_1')(page); await page.fill(at('budget-amount'), '5,00'); },
  },
  { name: 'agent-raise', seed: 'month', wait: at('raise-confirm'), go: async (page) => { await hash('#/agents/agt_1')(page); await page.click(at('grade-L4')); } },
  { name: 'agent-token', seed: 'month', wait: at('token'), go: async (page) => { await hash('#/agents/agt_1')(page); await page.click(at('rotate')); await page.click(at('rotate-confirm')); } },
  { name: 'agent-revoke', seed: 'month', wait: at('revoke-confirm'), go: async (page) => { await hash('#/agents/agt_1')(page); await page.click(at('revoke')); } },
  { name: 'new-agent', seed: 'month', wait: at('create-agent'), go: hash('#/agents/new') },
  { name: 'new-agent-limits', seed: 'team', wait: at('limit-hour'), go: async (page) => { await hash('#/agents/new')(page); await page.fill(at('agent-name'), 'Buyer'); await page.click(at('more-limits')); }, sizes: [[1280, 1000]] },
  { name: 'payees', seed: 'month', wait: at('payee-facts'), go: async (page) => { await hash('#/payees')(page); await page.click(`${at('payee-row')} button`); }, sizes: [[1280, 800], [320, 800]] },
  { name: 'payees-none', seed: 'empty', wait: 'h1', go: hash('#/payees') },
  { name: 'activity', seed: 'month', wait: at('row'), go: hash('#/activity') },
  { name: 'activity-many', seed: 'month', wait: 'text=or more', go: async (page) => { await page.evaluate(() => { window.imprestStandin.totalIsExact = false; }); await hash('#/activity')(page); } },
  { name: 'activity-none', seed: 'month', wait: 'text=Nothing matches', go: async (page) => { await hash('#/activity')(page); await page.fill(at('filter-text'), 'no such thing'); } },
  { name: 'evidence', seed: 'month', wait: at('finding'), go: async (page) => { await page.locator(`${at('row')}[data-state="settled"]`).first().click(); } },
  { name: 'evidence-refused', seed: 'month', wait: at('finding'), go: async (page) => { await page.locator(`${at('row')}[data-state="refused"]`).first().click(); } },
  { name: 'settings', seed: 'month', wait: at('verify'), go: hash('#/settings') },
  { name: 'settings-backup', seed: 'month', wait: at('backup-dialog'), go: async (page) => { await hash('#/settings')(page); await page.click(at('back-up')); } },
  { name: 'settings-verified', seed: 'month', wait: at('verified'), go: async (page) => { await hash('#/settings')(page); await page.click(at('verify')); } },
  {
    name: 'settings-unsealed', seed: 'month', wait: at('verified'),
    go: async (page) => {
      await page.evaluate(() => Object.assign(window.imprestStandin, { sealedBehind: 3, copyChecked: false }));
      await hash('#/settings')(page); await page.click(at('verify'));
    },
    sizes: [[1280, 1400]],
  },
  { name: 'presence', seed: 'month', wait: at('presence'), go: async (page) => { await away(page); await hash('#/settings')(page); await page.click(at('reveal')); }, sizes: [[1280, 800], [320, 640]] },
  { name: 'presence-wrong', seed: 'month', wait: at('problem'), go: async (page) => { await away(page); await hash('#/settings')(page); await page.click(at('reveal')); await page.fill(at('presence-passphrase'), 'not this one'); await page.click(at('presence-give')); } },
  { name: 'window-locked', seed: 'month', wait: at('window-locked'), go: (page) => page.evaluate(() => window.imprestStandin.run('leave', {})) },
  { name: 'vault-passwd', seed: 'month', wait: at('vault-dialog'), go: async (page) => { await hash('#/settings')(page); await page.click(at('passwd')); } },
  { name: 'vault-everyday', seed: 'month', wait: at('vault-dialog'), go: async (page) => { await hash('#/settings')(page); await page.click(at('everyday-on')); } },
  {
    name: 'vault-everyday-on', seed: 'month', wait: at('everyday-warning'),
    go: async (page) => { await hash('#/settings')(page); await page.click(at('everyday-on')); await page.fill(at('vault-passphrase'), SEED_PASSPHRASE); await page.click(at('vault-confirm')); },
  },
  { name: 'vault-words', seed: 'month', wait: at('words-dialog'), go: async (page) => { await hash('#/settings')(page); await page.click(at('reveal')); } },
  {
    name: 'unlock-elsewhere', seed: 'locked', wait: at('other-keychain'),
    go: (page) => page.evaluate(() => { const { vault } = window.imprestStandin; vault.ways = vault.ways.map((way) => ({ ...way, here: way.keychain === null })); window.imprestStandin.changed('status'); }),
  },
  { name: 'palette', seed: 'month', wait: at('palette'), go: (page) => page.keyboard.press('Control+k') },
  { name: 'keys', seed: 'month', wait: at('keys'), go: (page) => page.keyboard.press('?') },
];
