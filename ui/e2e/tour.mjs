// Every screen and what lies over it, by name: how to get there on a seeded page.
const at = (testid) => `[data-testid="${testid}"]`;
const hash = (path) => async (page) => {
  await page.evaluate((to) => (window.location.hash = to), path);
};
const passphrase = 'seven grey herons read maps';

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
  { name: 'desk-thaw', seed: 'month', wait: at('thaw-dialog'), go: async (page) => { await page.click(at('freeze')); await page.click(at('thaw')); } },
  { name: 'desk-empty', seed: 'empty', wait: 'h1' },
  { name: 'desk-several', seed: 'month', wait: `${at('approval')}:nth-of-type(2)`, go: (page) => page.evaluate(() => { window.imprestStandin.ask({ agent: 'Night shift', what: 'Model card, large', amount: '0.4', payee: 'weights.example' }); }) },
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
  { name: 'activity', seed: 'month', wait: at('row'), go: hash('#/activity') },
  { name: 'activity-none', seed: 'month', wait: 'text=Nothing matches', go: async (page) => { await hash('#/activity')(page); await page.fill(at('filter-text'), 'no such thing'); } },
  { name: 'evidence', seed: 'month', wait: at('finding'), go: async (page) => { await page.locator(`${at('row')}[data-state="settled"]`).first().click(); } },
  { name: 'evidence-refused', seed: 'month', wait: at('finding'), go: async (page) => { await page.locator(`${at('row')}[data-state="refused"]`).first().click(); } },
  { name: 'settings', seed: 'month', wait: at('verify'), go: hash('#/settings') },
  { name: 'settings-verified', seed: 'month', wait: at('verified'), go: async (page) => { await hash('#/settings')(page); await page.click(at('verify')); } },
  { name: 'palette', seed: 'month', wait: at('palette'), go: (page) => page.keyboard.press('Control+k') },
  { name: 'keys', seed: 'month', wait: at('keys'), go: (page) => page.keyboard.press('?') },
];
