// Ring 2: the built page with the in-memory desk, driven as a person would.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { browser, open, serve } from './page.mjs';
import { SCREENS } from './tour.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const at = (testid) => `[data-testid="${testid}"]`;
const PASSPHRASE = 'seven grey herons read maps';

let server;
let chrome;
before(async () => {
  server = await serve();
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await server?.stop();
});

/** Runs with a fresh page and holds the page to having complained about nothing. */
async function withPage(options, run) {
  const { page, complaints, close } = await open(chrome, server.url, options);
  try {
    await run(page);
    assert.deepEqual(complaints, []);
  } finally {
    await close();
  }
}

const ask = (page, question) => page.evaluate((what) => window.imprestStandin.ask(what), question);
const state = (page, payment) => page.waitForSelector(`${at('row')}[data-payment-id="${payment.id}"][data-state="${payment.state}"]`);
const armed = (page) => page.waitForSelector(`${at('approval')}[data-armed="true"]`);

describe('a newcomer', () => {
  test('comes from nothing to an approved payment, freezes and thaws', () =>
    withPage({}, async (page) => {
      await page.fill(at('passphrase'), 'short');
      assert.equal(await page.getAttribute(at('strength'), 'data-strength'), 'short');
      assert.ok(await page.isDisabled(at('create-vault')));
      await page.fill(at('passphrase'), PASSPHRASE);
      await page.fill(at('passphrase-again'), `${PASSPHRASE}!`);
      assert.ok(await page.isDisabled(at('create-vault')));
      await page.fill(at('passphrase-again'), PASSPHRASE);
      await page.click(at('create-vault'));

      await page.waitForSelector(at('words'));
      const words = await page.locator(at('word')).allTextContents();
      assert.equal(words.length, 24);
      await page.click(at('words-written'));
      const inputs = await page.locator(at('confirm-word')).all();
      assert.equal(inputs.length, 3);
      for (const input of inputs) await input.fill('wrong');
      await page.click(at('confirm-words'));
      await page.waitForSelector('[role=alert]');
      for (const input of inputs) await input.fill(words[Number(await input.getAttribute('data-place')) - 1]);
      await page.click(at('confirm-words'));
      await page.click(at('practice-go'));

      await page.fill(at('agent-name'), 'Scout');
      await page.fill(at('budget-amount'), '5.00');
      await page.fill(at('budget-per-payment'), '0.25');
      await page.click(at('create-agent'));
      assert.match(await page.textContent(at('token')), /^imp_[0-9a-f]{43}$/);
      assert.match(await page.textContent(at('snippet-mcp')), /"--agent", "scout"/);
      await page.click(at('to-desk'));

      const paid = await ask(page, { agent: 'Scout', what: 'Weather', amount: '0.01' });
      await state(page, { id: paid.payment_id, state: 'delivered' });
      await state(page, { id: paid.payment_id, state: 'settled' });

      const held = await ask(page, { agent: 'Scout', what: 'Supplier price list', amount: '0.6' });
      await page.waitForSelector(at('approval'));
      assert.equal((await page.textContent(at('approval-amount'))).trim().replace('\u00a0', ' '), '0.60 USDC');
      await armed(page);
      await page.click(at('approve'));
      await state(page, { id: held.payment_id, state: 'settled' });
      assert.match(await page.textContent(at('spent-today')), /0\.61/);

      await page.click(at('freeze'));
      await page.waitForSelector(at('frozen'));
      const refused = await ask(page, { agent: 'Scout', what: 'Weather', amount: '0.01' });
      await state(page, { id: refused.payment_id, state: 'refused' });
      await page.click(at('thaw'));
      await page.click(at('thaw-confirm'));
      await page.waitForSelector(at('frozen'), { state: 'detached' });
    }));

  test('can leave before the first agent and come back to it', () =>
    withPage({ seed: 'empty' }, async (page) => {
      await page.click('text=Make the first agent');
      await page.waitForSelector(`${at('agent-name')}:focus`);
      await page.fill(at('agent-name'), 'no/such name');
      assert.ok(await page.isDisabled(at('create-agent')));
    }));
});

describe('payees', () => {
  test('are found, and unfold to where they are paid and what they cost', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.keyboard.press('g');
      await page.keyboard.press('p');
      await page.waitForSelector(at('payee-row'));
      await page.fill(at('find-payee'), 'nobody at all');
      await page.waitForSelector(at('payee-row'), { state: 'detached' });
      await page.fill(at('find-payee'), 'CORNER');
      await page.click(`${at('payee-row')} button`);
      const facts = (await page.textContent(at('payee-facts'))).replaceAll(/\s/g, '');
      assert.match(facts, /0x70997970C51812dc3A010C7d01b50e0d17dc79C8/);
      assert.match(facts, /freight-index.*0\.0042USDC/);
    }));
});

describe('agent programs on this machine', () => {
  const WRONG = `${at('note')}[data-tone="wrong"]`;
  const scout = (page) => page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
  const standing = (page, program) => page.getAttribute(at(`program-${program}`), 'data-state');

  test('are connected after the change was shown, and taken out again', () =>
    withPage({ seed: 'month' }, async (page) => {
      await scout(page);
      await page.click(at('connect-claude-code'));
      assert.match(await page.textContent(at('connection-diff')), /\+ {6}"args": \["mcp", "--agent", "scout"\]/);
      assert.equal(await standing(page, 'claude-code'), 'free');
      await page.click(at('connect-confirm'));
      await page.waitForSelector(`${at('program-claude-code')}[data-state="connected"]`);
      await page.click(at('disconnect-claude-code'));
      await page.waitForSelector(`${at('program-claude-code')}[data-state="free"]`);
    }));

  test('stay as they are when their settings changed after they were shown', () =>
    withPage({ seed: 'month' }, async (page) => {
      await scout(page);
      await page.click(at('connect-claude-code'));
      await page.evaluate(() => { window.imprestStandin.programs.changed = true; });
      await page.click(at('connect-confirm'));
      await page.waitForSelector(WRONG);
      assert.match(await page.textContent(WRONG), /changed by another program/);
      assert.equal(await standing(page, 'claude-code'), 'free');
    }));

  test('cannot be connected where the name is taken or the settings are broken', () =>
    withPage({ seed: 'month' }, async (page) => {
      await scout(page);
      await page.waitForSelector(at('program-cursor'));
      assert.equal(await standing(page, 'cursor'), 'taken');
      assert.match(await page.textContent(at('program-codex')), /line 3, column 9/);
      for (const program of ['cursor', 'codex']) assert.equal(await page.locator(at(`connect-${program}`)).count(), 0);
    }));
});

describe('an owner with the keyboard alone', () => {
  test('answers several questions, and no key answers too early', () =>
    withPage({ seed: 'month' }, async (page) => {
      const second = await ask(page, { agent: 'Night shift', what: 'Model card', amount: '0.4' });
      await page.waitForSelector(`${at('approval')}[data-payment-id="${second.payment_id}"]`);
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="approval"][data-armed="true"]').length === 2);
      const first = await page.getAttribute(at('approval'), 'data-payment-id');

      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.keyboard.press('a');
      await state(page, { id: second.payment_id, state: 'settled' });

      const third = await ask(page, { agent: 'Night shift', what: 'Another', amount: '0.3' });
      const card = `${at('approval')}[data-payment-id="${third.payment_id}"]`;
      await page.waitForSelector(`${card}[data-armed="false"]`);
      await page.keyboard.press('j');
      await page.keyboard.press('k');
      await page.keyboard.press('r');
      await page.waitForSelector(at('refuse-reason'));
      await page.keyboard.type('too dear, ask a later day');
      await page.keyboard.press('Enter');
      await state(page, { id: first, state: 'refused' });
      // The remaining card moved up and is still there.
      await page.waitForSelector(card);
    }));

  test('a key in the first moment does nothing', () =>
    withPage({ seed: 'month' }, async (page) => {
      await armed(page);
      await page.keyboard.press('a');
      await page.waitForSelector(at('approval'), { state: 'detached' });
      const row = await page.evaluate(() => {
        // In one turn with the card's arrival, so that no slow machine lets the moment pass.
        const asked = window.imprestStandin.ask({ agent: 'Night shift', what: 'Card', amount: '0.2' });
        new MutationObserver((_, watch) => {
          if (document.querySelector('[data-testid="approval"]') === null) return;
          watch.disconnect();
          window.dispatchEvent(new KeyboardEvent('keydown', { key: 'a' }));
          window.earlyKey = true;
        }).observe(document.body, { childList: true, subtree: true });
        return asked;
      });
      await page.waitForFunction(() => window.earlyKey === true);
      await armed(page);
      await state(page, { id: row.payment_id, state: 'waiting' });
    }));

  test('goes everywhere: chords, palette, list of keys, rows, back', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.keyboard.press('g');
      await page.keyboard.press('v');
      await page.waitForSelector(at('activity-total'));
      await page.waitForSelector(at('row'));
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.waitForSelector(at('evidence'));
      await page.keyboard.press('Escape');
      await page.waitForSelector(at('evidence'), { state: 'detached' });
      await page.keyboard.press('Escape');
      await page.waitForSelector(at('approval'));
      await page.keyboard.press('Control+k');
      await page.waitForSelector(at('palette'));
      await page.keyboard.type('open scout');
      await page.keyboard.press('Enter');
      await page.waitForSelector(at('grade-L3'));
      await page.keyboard.press('?');
      await page.waitForSelector(at('keys'));
      await page.keyboard.press('Escape');
      await page.keyboard.press('Escape');
      await page.waitForSelector(at('agent-row'));
    }));

  test('reaches every control with Tab, and sees where it is', () =>
    withPage({ seed: 'month' }, async (page) => {
      for (const hash of ['#/desk', '#/agents/agt_1', '#/shared/new', '#/activity', '#/settings']) {
        await page.evaluate((to) => (window.location.hash = to), hash);
        await page.waitForFunction(() => document.querySelector('h1') !== null && !document.body.textContent.includes('Asking the desk'));
        const all = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')].filter((e) => !e.disabled && e.checkVisibility() && !(e.type === 'radio' && !e.checked)).length);
        await page.evaluate(() => { document.activeElement?.blur(); window.seen = new Set(); });
        for (let i = 0; i < all + 6; i++) {
          await page.keyboard.press('Tab');
          const blind = await page.evaluate(() => {
            const here = document.activeElement;
            if (here === document.body) return null;
            window.seen.add(here);
            let shown = here;
            for (; shown !== null; shown = shown.parentElement) if (getComputedStyle(shown).outlineStyle !== 'none') return null;
            return here.outerHTML.slice(0, 120);
          });
          assert.equal(blind, null);
        }
        assert.ok((await page.evaluate(() => window.seen.size)) >= all, `${hash}: not every control was reached`);
      }
    }));
});

describe('an owner', () => {
  test('changes a budget, is told what is raised, and can undo', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
      await page.fill(at('budget-per-payment'), '0.5');
      assert.equal(await page.textContent(at('raised')), 'Raised: per payment 0.25 → 0.50.');
      await page.click(at('undo-budget'));
      assert.equal(await page.inputValue(at('budget-per-payment')), '0.25');
      await page.fill(at('budget-amount'), '4');
      assert.equal(await page.textContent(at('raised')), 'Nothing is raised.');
      await page.click(at('save-budget'));
      await page.waitForSelector(at('note'));
      await page.waitForSelector(at('save-budget'), { state: 'detached' });
      assert.equal(await page.inputValue(at('budget-amount')), '4.00');
    }));

  test('refills, rotates, regrades and revokes', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/agents/agt_3'));
      await page.fill(at('refill-amount'), '2.5');
      await page.click(at('refill'));
      await page.waitForFunction(() => document.querySelector('[data-testid="float-chain"]')?.textContent?.includes('27.50'));
      await page.fill(at('refill-amount'), '999999');
      await page.click(at('refill'));
      await page.waitForSelector(`${at('note')}[data-tone="wrong"]`);
      await page.fill(at('refill-amount'), '1.5');
      await page.click(at('sweep'));
      await page.waitForFunction(() => document.querySelector('[data-testid="float-chain"]')?.textContent?.includes('26.00'));
      assert.equal(await page.textContent(at('sweep')), 'Take all back');
      await page.click(at('grade-L3'));
      await page.click(at('raise-confirm'));
      await page.waitForSelector(`${at('grade-L3')}[aria-pressed="true"]`);
      await page.click(at('grade-L1'));
      await page.waitForSelector(`${at('grade-L1')}[aria-pressed="true"]`);
      await page.click(at('rotate'));
      await page.click(at('rotate-confirm'));
      await page.waitForSelector(at('token'));
      await page.click(at('token-done'));
      await page.click(at('revoke'));
      assert.ok(await page.isDisabled(at('revoke-confirm')));
      await page.fill(at('revoke-name'), 'Night shift');
      await page.click(at('revoke-confirm'));
      await page.waitForSelector(at('revoke'), { state: 'detached' });
    }));

  test('burns a signature that nobody has taken', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => window.imprestStandin.ask({ agent: 'Scout', what: 'Weather report', amount: '0.01' }));
      await page.click(`${at('row')} >> nth=0`);
      await page.click(at('burn'));
      await page.click(at('burn-confirm'));
      await page.waitForSelector(`${at('evidence-state')}[data-state="expired"]`);
      await page.waitForSelector(at('burn'), { state: 'detached' });
      assert.match(await page.textContent(at('note')), /^Burnt in block \d+/);
    }));

  test('chooses nodes of a real network, and goes back to the usual ones', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-settings'));
      assert.equal(await page.textContent(`${at('nodes')}`), 'a node of its own, on this machine');
      await page.evaluate(() => { window.imprestStandin.practice = false; window.imprestStandin.changed('status'); });
      await page.click(at('choose-nodes'));
      assert.ok(await page.isDisabled(at('nodes-confirm')));
      await page.fill(at('nodes-text'), 'not a URL');
      await page.click(at('nodes-confirm'));
      await page.waitForSelector(`${at('note')}[data-tone="wrong"]`);
      await page.fill(at('nodes-text'), 'https://one.example/key\n\n https://two.example ');
      await page.click(at('nodes-confirm'));
      await page.waitForSelector('text=The desk asks one.example, two.example from now on.');
      await page.click(at('choose-nodes'));
      await page.click(at('nodes-usual'));
      await page.waitForFunction(() => document.querySelector('[data-testid="nodes"]')?.textContent?.includes('sepolia.base.org'));
    }));

  test('filters, pages and exports activity, and checks the books', () =>
    withPage({ seed: 'long' }, async (page) => {
      await page.click(at('nav-activity'));
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="row"]').length === 100);
      await page.locator('text=Load more').scrollIntoViewIfNeeded();
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="row"]').length >= 200);
      const height = await page.locator(at('row')).nth(5).evaluate((row) => row.getBoundingClientRect().height);
      assert.equal(height, 32);
      await page.selectOption(at('filter-state'), 'refused');
      await page.waitForFunction(() => [...document.querySelectorAll('[data-testid="row"]')].every((row) => row.dataset.state === 'refused'));
      await page.selectOption(at('filter-state'), '');
      await page.fill(at('filter-text'), 'tariff');
      await page.waitForFunction(() => {
        const rows = [...document.querySelectorAll('[data-testid="row"]')];
        return rows.length > 0 && rows.every((row) => row.textContent.includes('tariff'));
      });
      assert.equal(await page.getAttribute(at('books'), 'data-equal'), 'true');
      await page.click(at('export'));
      await page.waitForSelector(at('note'));
      await page.evaluate(() => { window.imprestStandin.chainSilent = true; });
      await page.click(at('check-books'));
      await page.waitForSelector(`${at('problem')}[data-code="chain_unreachable"]`);
    }));

  test('locks, is refused with a wrong passphrase, and recovers with the words', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-settings'));
      await page.click(at('verify'));
      await page.waitForSelector(`${at('verified')}[data-whole="true"]`);
      await page.fill(at('host'), 'localhost');
      assert.ok(await page.isDisabled(at('allow-host')));
      await page.fill(at('host'), '127.0.0.1:8080');
      await page.click(at('allow-host'));
      await page.click('[aria-label="Remove 127.0.0.1:8080"]');
      await page.click(at('theme-dark'));
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
      await page.click(at('lock'));
      await page.fill(at('unlock-passphrase'), 'not the passphrase');
      await page.click(at('unlock'));
      await page.waitForSelector(`${at('problem')}[data-code="wrong_passphrase"]`);
      await page.click(at('lost-passphrase'));
      await page.fill(at('recovery-words'), 'abandon brass candle dolphin ember falcon garden harvest island jacket kitten lantern marble nectar orchid pencil quantum ribbon saddle timber umbrella velvet walnut zebra');
      await page.fill(at('passphrase'), PASSPHRASE);
      await page.fill(at('passphrase-again'), PASSPHRASE);
      await page.click(at('recover'));
      await page.waitForSelector(at('nav-desk'));
    }));

  test('sees strangers’ text as text', () =>
    withPage({ seed: 'month' }, async (page) => {
      const evil = '<img src=x onerror="window.hit=1">\u202egnp';
      await ask(page, { agent: 'Night shift', what: evil, amount: '0.1', purpose: evil, changes: [evil] });
      await page.waitForSelector('text=⟨U+202E⟩gnp');
      assert.equal(await page.locator('img').count(), 0);
      assert.equal(await page.evaluate(() => window.hit), undefined);
    }));

  for (const [width, height] of [[900, 600], [450, 300], [320, 640], [3840, 2160]]) {
    test(`has nothing cut off at ${width}×${height}`, () =>
      withPage({ seed: 'guarded', width, height }, async (page) => {
        await page.evaluate(() => window.imprestStandin.addShared('Research', { ...window.imprestStandin.agents[0].budget, new_payee: 'allow' }));
        for (const hash of ['#/desk', '#/agents', '#/agents/agt_1', '#/agents/new', '#/shared/shr_1', '#/shared/new', '#/activity', '#/signals', '#/settings']) {
          await page.evaluate((to) => (window.location.hash = to), hash);
          await page.waitForSelector('main h1');
          const fold = page.locator(at('more-limits'));
          if (await fold.count() > 0) await fold.click();
          const wide = await page.evaluate(() => {
            const side = document.querySelector('main').parentElement;
            return [document.documentElement.scrollWidth - window.innerWidth, side.scrollWidth - side.clientWidth];
          });
          assert.ok(wide.every((over) => over <= 0), `${hash} is ${wide} px too wide`);
          const freeze = await page.locator(at('freeze')).boundingBox();
          assert.ok(freeze.x >= 0 && freeze.x + freeze.width <= width && freeze.y + freeze.height <= height, `${hash}: freeze is out of sight`);
        }
      }));
  }
});

describe('limits', () => {
  test('unfold, are explained, rehearsed as one writes, and saved', () =>
    withPage({ seed: 'month' }, async (page) => {
      const rehearsed = () => page.waitForSelector(`${at('rehearsal')}[data-old="false"]`);
      await page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
      await rehearsed();
      const before = await page.textContent(at('rehearsal'));
      assert.match(before, /With these limits, of the last 30 days’ \d+ payments: \d+ paid, 1 asked, 0 refused, at most [\d.]+ USDC in a day\./);
      assert.match(before, /Objections: Per payment 1×\./);
      assert.ok(!(await page.isVisible(at('limit-hour'))));
      await page.click(at('more-limits'));

      // Nothing is set by itself, zero says what it does, and what cannot be is said at its field.
      for (const id of ['limit-hour', 'limit-count', 'limit-payeeDay', 'limit-newPayeeDay', 'limit-exposure', 'hours-from', 'ends']) assert.equal(await page.inputValue(at(id)), '');
      await page.fill(at('limit-hour'), '0');
      await page.waitForSelector('text=Zero: nothing can be paid.');
      await page.waitForSelector(`${at('budget-notes')} >> text=The limit per hour is zero`);
      await rehearsed();
      const none = await page.textContent(at('rehearsal'));
      assert.match(none, / 0 paid, 0 asked, \d+ refused/);
      assert.match(none, /Per hour \d+×/);
      await page.fill(at('limit-hour'), '2');
      await page.fill(at('limit-count'), '1.5');
      assert.ok(await page.isDisabled(at('save-budget')));
      await page.fill(at('limit-count'), '30');
      await page.fill(at('hours-from'), '22:00');
      await page.waitForSelector(`${at('budget-fault')} >> text=write both times`);
      await page.fill(at('hours-until'), '06:00');
      await page.fill(at('limit-exposure'), '0.5');
      assert.equal(await page.textContent(at('raised')), 'Nothing is raised.');
      await page.click(at('more-limits'));
      assert.match(await page.textContent(at('also')), /at most 2\.00 in any hour, 30 payments in any hour, 0\.50 open at once, only 22:00–06:00/);
      await page.click(at('save-budget'));
      await page.waitForSelector(at('save-budget'), { state: 'detached' });
      await page.waitForSelector(`${at('window')}[data-window="hour"]`);
      const saved = await page.evaluate(() => window.imprestStandin.agents[0].budget);
      assert.deepEqual([saved.per_hour, saved.max_count_hour, saved.hours, saved.exposure, saved.per_payee_day], ['2', '30', '22:00-06:00', '0.5', null]);

      await page.click(at('more-limits'));
      await page.fill(at('limit-exposure'), '');
      assert.equal(await page.textContent(at('raised')), 'Raised: open at once 0.50 → no limit.');
      await page.click(at('undo-budget'));
      assert.equal(await page.inputValue(at('limit-exposure')), '0.50');
    }));

  test('the page below the form stands still while one writes', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
      await page.waitForSelector(at('rehearsal'));
      const top = () => page.locator('#connect').evaluate((heading) => heading.getBoundingClientRect().top);
      const first = await top();
      await page.waitForSelector(`${at('rehearsal')}[data-old="false"]`);
      assert.equal(await top(), first, 'the rehearsal came and moved the page');
      await page.fill(at('budget-per-payment'), '0.2');
      await page.waitForSelector(at('raised'));
      const dirty = await top();
      await page.fill(at('budget-per-payment'), '0.15');
      await page.waitForSelector(`${at('rehearsal')}[data-old="false"]`);
      assert.equal(await top(), dirty, 'another figure moved the page');

      // Nor does a field that is being written in move under the hand, whatever it says.
      await page.click(at('more-limits'));
      const place = () => page.locator(at('limit-exposure')).evaluate((field) => field.getBoundingClientRect().top);
      const field = await place();
      for (const typed of ['0', '0,5', '0.5', '900']) {
        await page.fill(at('limit-exposure'), typed);
        await page.fill(at('limit-hour'), typed);
        assert.equal(await place(), field, `“${typed}” moved the field`);
      }
    }));

  test('an agent without history has no rehearsal', () =>
    withPage({ seed: 'empty' }, async (page) => {
      await page.evaluate(() => { window.imprestStandin.addAgent('Fresh', 'L3', { per_payment: '1', per_hour: null, per_day: '5', per_week: null, per_month: null, lifetime: null, per_payee_day: null, per_new_payee_day: null, exposure: null, max_count_hour: null, hours: null, over_payment: 'ask', new_payee: 'ask', zone: '', expires_at: null }); window.location.hash = '#/agents/agt_1'; });
      await page.waitForSelector(at('budget-amount'));
      assert.equal(await page.locator(at('rehearsal')).count(), 0);
    }));

  test('turn amber with a word above 80 %, the hour too', () =>
    withPage({ seed: 'team' }, async (page) => {
      await page.waitForSelector(`${at('warning')} >> text=Scout has used 8`);
      await page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
      const hour = page.locator(`${at('window')}[data-window="hour"]`).first();
      await hour.waitFor();
      assert.equal(await hour.getAttribute('data-warn'), 'true');
      assert.match(await hour.locator(at('near')).textContent(), /8\d % used/);
      const calm = page.locator(`${at('window')}[data-window="month"]`).first();
      assert.equal(await calm.locator(at('near')).count(), 0);
      const colour = (of) => of.locator('b').first().evaluate((b) => getComputedStyle(b).color);
      assert.notEqual(await colour(hour), await colour(calm));
    }));
});

describe('shared budgets', () => {
  test('are made, joined, changed, and stop their agents together', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-agents'));
      await page.waitForSelector('text=together they never spend more than it');
      await page.click(at('new-shared'));
      assert.ok(await page.isDisabled(at('create-shared')));
      await page.fill(at('shared-name'), 'Research');
      await page.fill(at('budget-amount'), '0.5');
      await page.click(at('create-shared'));
      await page.waitForSelector(`${at('member')}[data-agent-id="agt_1"][data-under="false"]`);
      await page.click(`${at('member')}[data-agent-id="agt_1"] ${at('move')}`);
      await page.waitForSelector(`${at('member')}[data-agent-id="agt_1"][data-under="true"]`);

      // The other joins on its own page, with the rest of its limits.
      await page.evaluate(() => (window.location.hash = '#/agents/agt_2'));
      await page.click(at('more-limits'));
      await page.selectOption(at('shared-choice'), { label: 'Research' });
      assert.equal(await page.textContent(at('raised')), 'Nothing is raised.');
      await page.click(at('save-budget'));
      await page.waitForSelector(at('shared-windows'));
      const used = await page.evaluate(() => {
        const desk = window.imprestStandin;
        return ['Scout', 'Archivist', 'Scout', 'Archivist'].map((agent) => desk.ask({ agent, what: 'Item', amount: '0.2' }).outcome);
      });
      assert.ok(used.some((outcome) => /0\.50 today of the shared budget Research/.test(outcome)), used.join(' | '));

      await page.click(at('nav-agents'));
      await page.waitForSelector(`${at('shared-row')} >> text=Archivist`);
      await page.click(`${at('shared-row')} a >> text=Research`);
      await page.fill(at('budget-amount'), '5');
      assert.equal(await page.textContent(at('raised')), 'Raised: per day 0.50 → 5.00.');
      await page.click(at('save-shared'));
      await page.waitForSelector(at('save-shared'), { state: 'detached' });

      await page.evaluate(() => (window.location.hash = '#/agents/agt_2'));
      await page.click(at('more-limits'));
      await page.selectOption(at('shared-choice'), '');
      assert.equal(await page.textContent(at('raised')), 'Raised: shared budget Research → none.');
      await page.click(at('save-budget'));
      await page.waitForSelector(at('shared-windows'), { state: 'detached' });
    }));

  test('a new agent starts under one', () =>
    withPage({ seed: 'team' }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/agents/new'));
      await page.fill(at('agent-name'), 'Buyer');
      await page.click(at('more-limits'));
      await page.selectOption(at('shared-choice'), { label: 'Household' });
      await page.fill(at('limit-payeeDay'), '10');
      await page.waitForSelector(`${at('budget-notes')} >> text=to one payee a day is above the limit per day`);
      await page.click(at('create-agent'));
      await page.waitForSelector(at('token'));
      await page.waitForSelector(`${at('budget-notes')} >> text=to one payee a day is above the limit per day`);
      assert.deepEqual(await page.evaluate(() => { const { shared, budget } = window.imprestStandin.agents.at(-1); return [shared, budget.per_payee_day]; }), ['shr_2', '10']);
    }));

  test('a name that is taken is said', () =>
    withPage({ seed: 'team' }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/shared/new'));
      await page.fill(at('shared-name'), 'research');
      await page.click(at('create-shared'));
      await page.waitForSelector(`${at('note')}[data-tone="wrong"] >> text=That name is taken.`);
    }));
});

describe('danger', () => {
  const signal = (kind) => `${at('signal')}[data-kind="${kind}"]`;

  test('a changed address asks, shows old and new, and ends when the owner has seen it', () =>
    withPage({ seed: 'month' }, async (page) => {
      const other = '0x6813Eb9362372EEF6200f3b1dbC3f819671cBA69';
      await page.evaluate((payTo) => window.imprestStandin.ask({ agent: 'Scout', what: 'Weather, Rotterdam', amount: '0.01', payTo }), other);
      await page.waitForSelector(at('odd'));
      await page.click(at('nav-signals'));
      const card = page.locator(signal('pay_to_changed'));
      await card.waitFor();
      const words = (await card.textContent()).replaceAll(' ', '');
      assert.ok(words.includes('Before0x70997970C51812dc3A010C7d01b50e0d17dc79C8') && words.includes(`Now${other}`), words);
      assert.match(await card.textContent(), /Guarded/);
      await page.click(`${signal('pay_to_changed')} ${at('seen')}`);
      await page.waitForSelector(`${signal('pay_to_changed')}[data-open="false"] >> text=Seen by you`);
      await page.waitForSelector(`${at('no-signals')} >> text=Nothing looks odd now.`);
    }));

  test('no key says too early that one has seen it, and J chooses which', () =>
    withPage({ seed: 'odd' }, async (page) => {
      await page.click(at('nav-signals'));
      await page.waitForSelector(at('signal'));
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="signal"][data-armed="true"]').length === 2);
      await page.evaluate(() => {
        // In one turn with the signal's arrival, so that no slow machine lets the moment pass.
        new MutationObserver((_, watch) => {
          if (document.querySelector('[data-kind="price_soared"]') === null) return;
          watch.disconnect();
          window.dispatchEvent(new KeyboardEvent('keydown', { key: 's' }));
          window.earlyKey = true;
        }).observe(document.body, { childList: true, subtree: true });
        window.imprestStandin.raise('price_soared', 'bulk.example', 'bulk.example asks 4 USDC where 0.5 was usual', { payee: 'bulk.example' });
      });
      await page.waitForFunction(() => window.earlyKey === true);
      await page.waitForSelector(`${signal('price_soared')}[data-armed="true"]`);
      assert.equal(await page.getAttribute(signal('price_soared'), 'data-open'), 'true');

      // The first is the new one; J twice goes to the one below it.
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      const second = await page.locator(at('signal')).nth(1).getAttribute('data-seq');
      await page.keyboard.press('s');
      await page.waitForSelector(`${at('signal')}[data-seq="${second}"][data-open="false"]`);
      assert.equal(await page.getAttribute(signal('price_soared'), 'data-open'), 'true');
    }));

  test('a signal that moves up does not take the next click', () =>
    withPage({ seed: 'odd' }, async (page) => {
      await page.click(at('nav-signals'));
      await page.waitForSelector(at('signal'));
      await page.waitForFunction(() => document.querySelectorAll('[data-testid="signal"][data-armed="true"]').length === 2);
      const [first, second] = await page.locator(at('signal')).evaluateAll((all) => all.map((one) => one.dataset.seq));
      await page.evaluate((seq) => {
        // The first goes, and in the same turn as the second moves up it is clicked.
        new MutationObserver((_, watch) => {
          if (document.querySelector(`[data-seq="${seq}"][data-open="false"]`) === null) return;
          watch.disconnect();
          document.querySelector('[data-testid="seen"]').dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 2 }));
          window.clicked = true;
        }).observe(document.body, { childList: true, subtree: true, attributes: true });
        document.querySelector(`[data-seq="${seq}"] [data-testid="seen"]`).dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }));
      }, first);
      await page.waitForFunction(() => window.clicked === true);
      await page.waitForSelector(`${at('signal')}[data-seq="${second}"][data-armed="true"]`);
      assert.equal(await page.getAttribute(`${at('signal')}[data-seq="${second}"]`, 'data-open'), 'true');
    }));

  test('an agent’s page keeps the grade in force and its reason in sight', () =>
    withPage({ seed: 'odd', width: 900, height: 600 }, async (page) => {
      await page.evaluate(() => (window.location.hash = '#/agents/agt_2'));
      await page.waitForSelector(at('lowered'));
      assert.match(await page.textContent(at('lowered')), /Guarded\s*L3 was granted; it was refused three times in ten minutes, so L2 is in force\./);
      await page.locator(at('revoke')).scrollIntoViewIfNeeded();
      const box = await page.locator(at('lowered')).boundingBox();
      assert.ok(box.y >= 0 && box.y < 600, 'the reason scrolled out of sight');
    }));

  test('a token in two places ends with a new token, not with a click', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => window.imprestStandin.raise('credential_elsewhere', 'Scout', 'its credential is used by user 1001 and by user 1000', { agent: 'agt_1' }));
      await page.click(at('nav-signals'));
      await page.waitForSelector(signal('credential_elsewhere'));
      assert.equal(await page.locator(at('seen')).count(), 0);
      await page.click(`${signal('credential_elsewhere')} a`);
      await page.click(at('rotate'));
      await page.click(at('rotate-confirm'));
      await page.click(at('token-done'));
      await page.waitForSelector(at('lowered'), { state: 'detached' });
    }));

  test('an older ledger halts, and is taken as the right one only after a second thought', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => window.imprestStandin.raise('rolled_back', 'the desk', 'the ledger is another than the one whose event 412 was copied to the keychain'));
      await page.waitForSelector(`${at('danger')}[data-level="halted"]`);
      assert.match(await page.textContent(at('danger')), /Halted\s+The ledger is another than the one whose event 412 was copied to the keychain\. Nothing is signed\./);
      await page.click(at('danger-look'));
      await page.click(at('seen'));
      await page.waitForSelector(at('seen-dialog'));
      await page.keyboard.press('Escape');
      assert.equal(await page.getAttribute(signal('rolled_back'), 'data-open'), 'true');
      await page.click(at('seen'));
      await page.click(at('seen-confirm'));
      await page.waitForSelector(at('danger'), { state: 'detached' });
    }));

  test('a clock that is behind is said on a line of its own, and taken as right', () =>
    withPage({ seed: 'clock' }, async (page) => {
      assert.match(await page.textContent(at('clock')), /The books have seen a time 47 min later than the computer’s clock\./);
      assert.match(await page.textContent(at('danger')), /Every payment is a question\./);
      await page.click(at('accept-clock'));
      await page.click(at('accept-clock-confirm'));
      await page.waitForSelector(at('clock'), { state: 'detached' });
      await page.waitForSelector(at('danger'), { state: 'detached' });
    }));
});

describe('an owner who was away', () => {
  const SEED_PASSPHRASE = 'correct horse battery staple';
  const away = (page) => page.evaluate(() => { window.imprestStandin.vault.presenceUntil = 0; });

  test('gives the passphrase once, and what was begun goes on', () =>
    withPage({ seed: 'month' }, async (page) => {
      await away(page);
      await page.click(at('nav-settings'));
      await page.fill(at('host'), '127.0.0.1:8402');
      await page.click(at('allow-host'));
      await page.waitForSelector(`${at('presence-passphrase')}:focus`);
      await page.fill(at('presence-passphrase'), 'not this one');
      await page.keyboard.press('Enter');
      await page.waitForSelector(`${at('presence')} ${at('problem')}[data-code="wrong_passphrase"]`);
      assert.equal(await page.inputValue(at('presence-passphrase')), '');
      await page.fill(at('presence-passphrase'), SEED_PASSPHRASE);
      await page.keyboard.press('Enter');
      await page.waitForSelector('text=127.0.0.1:8402');
      await page.waitForSelector(at('presence'), { state: 'detached' });
      // For two minutes nothing asks again, which is seen and can be ended.
      await page.fill(at('host'), '127.0.0.1:8403');
      await page.click(at('allow-host'));
      await page.waitForSelector('text=127.0.0.1:8403');
      assert.match(await page.textContent(at('trusted')), /Raising is open for/);
      await page.click(at('leave'));
      await page.waitForSelector(at('trusted'), { state: 'detached' });
      await page.waitForSelector(at('window-locked'));
    }));

  test('puts the dialog away and nothing has changed; lowering never asked', () =>
    withPage({ seed: 'month' }, async (page) => {
      await away(page);
      await page.evaluate(() => (window.location.hash = '#/agents/agt_1'));
      await page.click(at('rotate'));
      await page.click(at('rotate-confirm'));
      await page.waitForSelector(at('presence'));
      await page.keyboard.press('Escape');
      await page.waitForSelector(at('presence'), { state: 'detached' });
      assert.equal(await page.locator(at('token')).count(), 0);
      await page.keyboard.press('Escape');
      await page.click(at('freeze'));
      await page.waitForSelector(at('frozen'));
      assert.equal(await page.locator(at('presence')).count(), 0);
    }));

  test('finds the window locked, and approves with the passphrase', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => window.imprestStandin.run('leave', {}));
      await page.waitForSelector(at('window-locked'));
      await armed(page);
      const payment = await page.getAttribute(at('approval'), 'data-payment-id');
      await page.click(at('approve'));
      await page.fill(at('presence-passphrase'), SEED_PASSPHRASE);
      await page.keyboard.press('Enter');
      await page.waitForSelector(at('window-locked'), { state: 'detached' });
      await state(page, { id: payment, state: 'settled' });
    }));

  test('switches the keychain alone on and off, and changes the passphrase', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-settings'));
      await page.click(at('everyday-on'));
      assert.match(await page.textContent(at('vault-dialog')), /So can every other program that runs as you/);
      await page.fill(at('vault-passphrase'), SEED_PASSPHRASE);
      await page.click(at('vault-confirm'));
      await page.waitForSelector(at('everyday-warning'));
      await page.click(at('lock'));
      await page.click(at('unlock-keychain'));
      await page.click(at('nav-settings'));
      await page.click(at('everyday-off'));
      await page.fill(at('vault-passphrase'), SEED_PASSPHRASE);
      await page.click(at('vault-confirm'));
      await page.waitForSelector(at('everyday-warning'), { state: 'detached' });

      await page.click(at('passwd'));
      await page.fill(at('vault-passphrase'), SEED_PASSPHRASE);
      await page.fill(at('passphrase'), PASSPHRASE);
      await page.fill(at('passphrase-again'), PASSPHRASE);
      await page.click(at('vault-confirm'));
      await page.waitForSelector(at('vault-dialog'), { state: 'detached' });
      await page.click(at('lock'));
      await page.fill(at('unlock-passphrase'), PASSPHRASE);
      await page.click(at('unlock'));
      await page.waitForSelector(at('nav-settings'));
    }));

  test('sets the locks, and longer asks for the passphrase', () =>
    withPage({ seed: 'month' }, async (page) => {
      await away(page);
      await page.click(at('nav-settings'));
      await page.selectOption(at('window-idle'), '5');
      await page.selectOption(at('signing-idle'), '60');
      await page.waitForSelector('text=/Locks by itself in \\d+ min/');
      await page.selectOption(at('window-idle'), '60');
      await page.waitForSelector(at('presence'));
      await page.keyboard.press('Escape');
      await page.waitForFunction((selector) => document.querySelector(selector)?.value === '5', at('window-idle'));
    }));
});

describe('proof', () => {
  test('verifying says how far the seal goes and what was checked', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-settings'));
      await page.click(at('verify'));
      await page.waitForSelector(`${at('sealed')}[data-checked="true"] >> text=the last one`);
      await page.waitForSelector(`${at('copied')}[data-checked="true"] >> text=no older ledger`);
      await page.evaluate(() => Object.assign(window.imprestStandin, { sealedBehind: 3, copyChecked: false }));
      await page.click(at('verify'));
      await page.waitForSelector(`${at('sealed')} >> text=3 after it are not sealed yet`);
      await page.waitForSelector(`${at('copied')}[data-checked="false"] >> text=would not be noticed`);
    }));

  test('a backup is made with a passphrase of its own, and says when it was', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.click(at('nav-settings'));
      await page.waitForSelector(`${at('last-backup')}[data-last=""]`);
      await page.waitForSelector(at('backup-due'));
      await page.click(at('back-up'));
      assert.ok(await page.isDisabled(at('backup-save')));
      await page.fill(at('passphrase'), PASSPHRASE);
      await page.fill(at('passphrase-again'), `${PASSPHRASE}!`);
      assert.ok(await page.isDisabled(at('backup-save')));
      await page.fill(at('passphrase-again'), PASSPHRASE);
      await page.evaluate(() => { window.imprestStandin.backups.diskFull = true; });
      await page.keyboard.press('Enter');
      await page.waitForSelector(`${at('backup-progress')} >> text=/Sealing, 50 %|Reading it back|Proving/`);
      await page.waitForSelector(`${at('problem')}[data-code="disk"]`);
      await page.evaluate(() => {
        window.imprestStandin.backups.diskFull = false;
        window.imprestStandin.vault.presenceUntil = 0;
      });
      await page.click(at('backup-save'));
      // Everything is taken out, so the owner is asked for.
      await page.fill(at('presence-passphrase'), 'correct horse battery staple');
      await page.keyboard.press('Enter');
      await page.waitForSelector(at('backup-dialog'), { state: 'detached' });
      await page.waitForSelector(`${at('note')} >> text=/opened and proven/`);
      await page.waitForSelector(`${at('last-backup')}:not([data-last=""])`);
      await page.waitForSelector(at('backup-due'), { state: 'detached' });
      assert.match(await page.textContent(at('restore-command')), /^imprest restore FILE/);
    }));

  test('a total that nobody counted to the end says so', () =>
    withPage({ seed: 'month' }, async (page) => {
      await page.evaluate(() => { window.imprestStandin.totalIsExact = false; });
      await page.click(at('nav-activity'));
      await page.waitForSelector(`${at('activity-total')} >> text=/^\\d+ or more entries$/`);
      await page.waitForSelector('table[aria-rowcount="-1"]');
    }));
});

describe('no screen has an accessibility violation', () => {
  for (const screen of SCREENS) {
    for (const theme of ['light', 'dark']) {
      test(`${screen.name}, ${theme}`, () =>
        withPage({ seed: screen.seed, theme }, async (page) => {
          await screen.go?.(page);
          await page.waitForSelector(screen.wait);
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
          const found = violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
          assert.deepEqual(found, []);
        }));
    }
  }
});
