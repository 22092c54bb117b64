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
      for (const hash of ['#/desk', '#/agents/agt_1', '#/activity', '#/settings']) {
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

  for (const [width, height] of [[900, 600], [450, 300], [3840, 2160]]) {
    test(`has nothing cut off at ${width}×${height}`, () =>
      withPage({ seed: 'month', width, height }, async (page) => {
        for (const hash of ['#/desk', '#/agents', '#/agents/agt_1', '#/activity', '#/settings']) {
          await page.evaluate((to) => (window.location.hash = to), hash);
          await page.waitForSelector('main h1');
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
