// What a person sees and does in the inspector.

import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { launch } from './browser.mjs';
import { API_KEY, HOSTILE, LINE, checked, drift, failing, fill, post, recovered, refuse, root, start } from './local_run.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = path.join(root, 'target/inspector-screenshots');
await rm(pictures, { recursive: true, force: true });
await mkdir(pictures, { recursive: true });

const results = { passed: 0, failed: 0 };

// A reference of 299 letters, from right to left.
const long = 'לקוח '.repeat(60).trim();

let run = await start();
let browser = await launch();
console.log(`Chromium ${browser.version()}`);

// What a page complains about: refusals of the content security policy are among it.
const complaints = [];

async function open(at, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${at}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${at}: ${error}`));
  page.on('requestfailed', (request) => {
    // A stream ends with its page, and so does a look for another receiver.
    if (!/\/(live|banner)/.test(request.url())) complaints.push(`${at}: ${request.url()}: ${request.failure()?.errorText}`);
  });
  page.setDefaultTimeout(15_000);
  const response = await page.goto(run.inspector + at);
  assert.equal(response.status(), 200, at);
  return page;
}

// A browser that crashes has told nothing of the page: the check is done once more, with another. What it has found out counts.
async function check(name, steps, isAgain = false) {
  try {
    await steps();
    results.passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    const hasCrashed = !browser.isConnected() || error.message.includes('browser has been closed');
    if (hasCrashed && !isAgain) {
      console.log(`again   ${name}: the browser has crashed`);
      browser = await launch();
      await check(name, steps, true);
      return;
    }
    results.failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}

const picture = (page, name, options = {}) => page.screenshot({ path: path.join(pictures, `${name}.png`), ...options });

async function assertAccessible(page) {
  // Not as an element: the page's own policy allows no other script.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const serious = violations.filter(({ impact }) => ['serious', 'critical', 'moderate'].includes(impact));
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html}\n   ${node.failureSummary}`).join('\n  ')}`);
  assert.deepEqual(told, []);
}

const rowOf = (page, id) => page.locator(`#rows tr[data-id="${id}"]`);

try {
  const duplicate = await fill(run.webhook);
  await drift();
  const entity = `entity?name=${encodeURIComponent(LINE)}`;
  const detail = `delivery?id=${duplicate.duplicate_of}`;
  const pages = ['', detail, entity, 'lines', 'client?reference=cafe-rimon', '?until=soonish', 'states', 'forwarding', 'registration', 'delivery?id=' + duplicate.id];

  await check('a row says whether its event was handed on, and a page what the endpoint has not accepted', async () => {
    const page = await open('');
    const mark = rowOf(page, duplicate.duplicate_of).locator('.mark');
    for (let looks = 0; await mark.count() === 0 && looks < 60; looks += 1) {
      await page.waitForTimeout(500);
      await page.reload();
    }
    assert.equal(await mark.innerText(), 'handed on');
    await page.goto(run.inspector + 'forwarding');
    await page.getByRole('heading', { name: 'Nothing is waiting' }).waitFor();
    const waits = await post(run.webhook, { status: 'OK', event: 'doctor', n: 1 });
    const dead = await post(run.webhook, { status: 'OK', event: 'doctor', n: 2 });
    await refuse(run.dynamodb, waits.id, LINE, new Date(Date.now() + 3_600_000));
    await refuse(run.dynamodb, dead.id, 'builder#702');
    await page.reload();
    const rows = page.locator('.failures tbody tr');
    assert.equal(await rows.count(), 2);
    await rows.nth(0).getByText('dead letter').waitFor();
    assert.match(await rows.nth(1).innerText(), /answered 503: upstream is being restarted/);
    await picture(page, 'forwarding');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'dark-forwarding');
    await rows.nth(1).getByRole('link', { name: LINE }).click();
    await page.getByRole('heading', { name: LINE }).waitFor();
  });

  await check('what comes appears without a reload, with its mark, and the chart counts it', async () => {
    const page = await open('');
    await page.locator('#live[data-state="live"]').waitFor();
    const body = { status: 'OK', event: 'builder', builderID: 4711, builder_extra_info: 1 };
    const first = await post(run.webhook, body);
    const again = await post(run.webhook, body);
    await rowOf(page, first.id).waitFor();
    await rowOf(page, again.id).getByText('duplicate').waitFor();
    assert.equal(await page.locator('#rows tr').first().getAttribute('data-id'), again.id, 'the last one is the first');
    const shown = await page.locator('#rows tr').count();
    await page.getByText(`${shown} deliveries in the last 24 hours`, { exact: true }).first().waitFor();
    assert.equal(await rowOf(page, first.id).count(), 1);
    await page.locator('#news', { hasText: 'new deliver' }).waitFor();
    await picture(page, 'list');
  });

  await check('nothing is read for a page that nobody sees', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const streams = [];
    page.on('request', (request) => { if (request.url().includes('/live')) streams.push(request.url()); });
    const turn = (isHidden) => page.evaluate((hidden) => {
      globalThis.isHidden = hidden;
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
    await page.addInitScript(() => {
      globalThis.isHidden = true;
      Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden });
    });
    await page.goto(run.inspector);
    await turn(true);
    assert.deepEqual(streams, []);
    await turn(false);
    await page.locator('#live[data-state="live"]').waitFor();
    assert.equal(streams.length, 1);
    await context.close();
  });

  await check('that deliveries cannot be read is said until they can', async () => {
    const page = await open('states');
    // What is on the wire the tests of the crate say.
    const answers = ['event: trouble\ndata: out of order\n\n', 'event: recovered\ndata: recovered\n\n'];
    await page.route('**/live*', (route) => route.fulfill({
      contentType: 'text/event-stream', body: answers.shift() ?? ': nothing\n\n',
    }));
    await page.goto(run.inspector);
    await page.locator('#trouble', { hasText: 'New deliveries cannot be read: out of order' }).waitFor();
    await page.locator('#trouble').waitFor({ state: 'hidden' });
  });

  await check('a row that is told is one that belongs to the filter', async () => {
    const page = await open('?kind=online');
    await page.locator('#live[data-state="live"]').waitFor();
    const other = await post(run.webhook, { event: 'builder', builderID: 4712 });
    const asked = await post(run.webhook, { event: 'online', accountID: 4713, server: 'eu' });
    await rowOf(page, asked.id).waitFor();
    assert.equal(await rowOf(page, other.id).count(), 0);
  });

  await check('the list is filtered by text, kind, entity and reference', async () => {
    const page = await open('');
    await page.getByLabel('Text').fill('Rimon');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText(/Searched \d+ deliveries, the whole period/).waitFor();
    const kinds = () => page.locator('#rows .kind').allInnerTexts();
    assert.deepEqual(new Set(await kinds()), new Set(['whatsapp', 'package']));
    await page.getByLabel('Kind', { exact: true }).selectOption('package');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.waitForURL(/kind=package/);
    assert.deepEqual(await kinds(), ['package']);
    await page.getByRole('link', { name: 'Clear' }).click();
    await page.getByLabel('Entity').fill(LINE);
    await page.keyboard.press('Enter');
    await page.waitForURL(/entity=/);
    assert.equal(await page.locator('#rows tr').count(), 4);
    await page.goto(`${run.inspector}?reference=cafe-rimon`);
    assert.equal(await page.locator('#rows tr').count(), 5);
    await page.goto(`${run.inspector}?text=nobody-has-this`);
    await page.getByRole('heading', { name: 'No matching deliveries' }).waitFor();
    await picture(page, 'nothing');
  });

  await check('a delivery shows its body, what repeats it, and where it belongs', async () => {
    const page = await open(detail);
    assert.match(await page.locator('pre.body').innerText(), /"display_name": "Café Rimon"/);
    assert.equal(await page.locator('pre.body .sealed').innerText(), '[sealed]');
    await picture(page, 'detail', { fullPage: true });
    await page.getByRole('region', { name: 'Repeated by' }).getByRole('link').click();
    await page.waitForURL(new RegExp(duplicate.id));
    await page.getByText('duplicate', { exact: true }).waitFor();
    await page.getByRole('link', { name: duplicate.duplicate_of }).click();
    await page.waitForURL(new RegExp(duplicate.duplicate_of));
    await page.getByRole('link', { name: LINE }).click();
    await page.getByRole('heading', { name: LINE }).waitFor();
  });

  await check('the timeline says what each event changed', async () => {
    const page = await open(entity);
    const steps = page.locator('.timeline > li');
    assert.equal(await steps.count(), 4);
    assert.match(await steps.nth(0).innerText(), /whatsapp_extra_info\s+2\s+→\s+4/);
    assert.match(await steps.nth(1).innerText(), /daily_limit\s+250\s+→\s+1000/);
    assert.match(await steps.nth(2).innerText(), /duplicate/);
    assert.match(await steps.nth(3).innerText(), /First event/);
    await page.getByRole('row', { name: /daily_limit 1000/ }).waitFor();
    await picture(page, 'timeline', { fullPage: true });
  });

  await check('states are listed by kind and last update', async () => {
    const page = await open('states');
    await page.getByRole('link', { name: 'builder', exact: true }).click();
    await page.getByLabel('Update', { exact: true }).fill('3');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.waitForURL(/status=3/);
    assert.deepEqual(await page.locator('tbody .entity').allInnerTexts(), ['builder#702']);
    await page.goto(`${run.inspector}states?kind=whatsapp`);
    await picture(page, 'states');
  });

  await check('the ledger shows whose the webhook was, in a drawing and in words', async () => {
    const page = await open('registration');
    await page.getByRole('heading', { name: 'Your webhook receives the events' }).waitFor();
    assert.ok(await page.locator('.ledger rect.not-ours').count() > 0);
    const table = page.getByRole('region', { name: 'Periods' });
    await table.getByRole('rowheader', { name: 'another URL, or none' }).waitFor();
    const entries = await page.locator('.entries .mark').allInnerTexts();
    assert.deepEqual(entries, ['repaired', 'set', 'registered']);
    await page.getByRole('link', { name: '30 days' }).click();
    await page.getByText('in the last 30 days.').waitFor();
    await picture(page, 'ledger', { fullPage: true });
  });

  await check('a sample is sent and sync is run from the page', async () => {
    const page = await open('');
    await page.getByLabel('Sample event').selectOption('package');
    await page.getByRole('button', { name: 'Send' }).click();
    const notice = await page.locator('.notice.good').innerText();
    const [, id] = notice.match(/Sent package: answered 200, id ([0-9a-f-]{36})/);
    await rowOf(page, id).waitFor();
    await page.reload();
    assert.equal(await page.locator('.notice.good').count(), 0, 'it is said once');
    await page.getByRole('link', { name: 'Registration' }).click();
    await page.getByRole('button', { name: 'Run sync' }).click();
    await page.getByText('Sync: up to date.').waitFor();
  });

  await check('the keyboard moves, opens, filters and explains', async () => {
    const page = await open('');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    const second = await page.locator('#rows tr').nth(1).getAttribute('data-id');
    assert.equal(await page.evaluate(() => document.activeElement.closest('tr')?.dataset.id), second);
    await page.keyboard.press('Enter');
    await page.waitForURL(new RegExp(second));
    await page.goBack();
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'text');
    await page.keyboard.type('j?/');
    assert.equal(await page.getByLabel('Text').inputValue(), 'j?/', 'what is typed is typed');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await picture(page, 'keys');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  });

  await check('a line, a sentence, a proof: problems first, and everything about a client in one click', async () => {
    await checked(run.dynamodb, LINE, 'live', { url: 'https://hooks.example.com/in/***1f2a', key_fingerprint: 'f' });
    await checked(run.dynamodb, 'whatsapp#972524400100', 'foreign', { url: 'crm.example.net' });
    const page = await open('lines');
    const lines = page.locator('.proofs > li');
    assert.match(await lines.first().innerText(), /972524400100[^]*foreign[^]*The line webhook is set to another URL/);
    const live = lines.filter({ hasText: '972541112233' });
    assert.match(await live.innerText(), /The line webhook is set to your URL: https:\/\/hooks\.example\.com\/in\/\*\*\*1f2a/);
    await picture(page, 'lines', { fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'dark-lines', { fullPage: true });
    await page.getByRole('link', { name: /^Live/ }).click();
    await page.waitForURL(/show=live/);
    assert.ok(await lines.count() >= 1);
    await live.getByRole('link', { name: 'cafe-rimon' }).click();
    await page.getByRole('heading', { name: 'cafe-rimon' }).waitFor();
    await page.locator('.proofs .open').click();
    await page.getByRole('heading', { name: LINE }).waitFor();
    await page.getByRole('heading', { name: "Line webhook" }).waitFor();
  });

  await check('times are local after a click, and stay so', async () => {
    const page = await open('', { timezoneId: 'Asia/Kolkata' });
    const time = page.locator('#rows time').first();
    const at = new Date(await time.getAttribute('datetime'));
    const clock = (zone) => at.toLocaleTimeString('en-GB', { timeZone: zone, hour12: false });
    const shown = async () => (await time.locator('.clock').innerText()).trim();
    assert.equal(await shown(), clock('UTC'));
    await page.getByRole('button', { name: 'Local time' }).click();
    assert.equal(await shown(), clock('Asia/Kolkata'));
    assert.match(await page.locator('thead th').first().innerText(), /Asia/);
    await page.locator('#live[data-state="live"]').waitFor();
    const { id } = await post(run.webhook, { event: 'package', package_reference: 'in-local-time' });
    const row = rowOf(page, id);
    await row.waitFor();
    const came = new Date(await row.locator('time').getAttribute('datetime'));
    assert.equal((await row.locator('.clock').innerText()).trim(), came.toLocaleTimeString('en-GB', { timeZone: 'Asia/Kolkata', hour12: false }));
    const typed = { '2026-11-22T09:30': '2026-11-22T09:30:00+05:30', '2026-11-22': '2026-11-22T00:00:00+05:30', '1h': '1h' };
    for (const [text, sent] of Object.entries(typed)) {
      await page.goto(`${run.inspector}?since=365d`);
      await page.getByLabel('Until (Asia').fill(text);
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.waitForURL(/until=/);
      assert.equal(new URL(page.url()).searchParams.get('until'), sent);
    }
    await page.goto(run.inspector + detail);
    assert.match(await page.locator('h1 time').innerText(), /\+05:30$/);
    await page.getByRole('button', { name: 'Local time' }).click();
    assert.match(await page.locator('h1 time').innerText(), /Z$/);
  });

  await check('the bytes of a quarantined delivery are shown once a person agrees', async () => {
    const page = await open('?kind=quarantine');
    await page.locator('#rows .open').first().click();
    await page.getByRole('button', { name: 'Show bytes' }).click();
    assert.match(page.url(), /delivery\?id=/, 'without the box nothing is sent');
    await page.getByLabel('I understand that the bytes may contain secrets').check();
    await page.getByRole('button', { name: 'Show bytes' }).click();
    await page.getByRole('heading', { name: 'Bytes as received' }).waitFor();
    assert.match(await page.locator('#raw').innerText(), /"status":"OK" "event":"whatsapp"/);
    await page.getByRole('link', { name: 'The delivery' }).click();
    await page.getByLabel('Record it as an event').check();
    await page.getByRole('button', { name: 'Retry', exact: true }).click();
    await page.getByText('Retried: still undecodable').waitFor();
  });

  await check('dark colours are chosen once and stay', async () => {
    const page = await open('');
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('button', { name: 'Dark colours' }).click();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.goto(run.inspector + entity);
    assert.equal(await ground(), dark);
    await picture(page, 'dark-timeline', { fullPage: true });
    await page.goto(run.inspector + 'registration');
    await picture(page, 'dark-ledger', { fullPage: true });
    await page.goto(run.inspector);
    await picture(page, 'dark');
    await page.getByRole('button', { name: 'Dark colours' }).click();
    assert.equal(await ground(), light);
    const night = await open('', { colorScheme: 'dark' });
    assert.equal(await night.evaluate(() => getComputedStyle(document.body).backgroundColor), dark);
  });

  await check('a body is copied as a command', async () => {
    const page = await open(detail);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy the request' }).click();
    await page.getByRole('button', { name: 'Copy the request' }).getByText('Copied').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^curl --json '\{"status":"OK",.*"\[sealed\]".*\}' "\$WEBHOOK_URL"$/);
  });

  await check('all of it can be read and filtered without JavaScript', async () => {
    const page = await open('', { javaScriptEnabled: false });
    assert.equal(await page.locator('#live').isVisible(), false);
    assert.equal(await page.locator('#tools').isVisible(), false);
    await page.getByLabel('Kind', { exact: true }).selectOption('quarantine');
    await page.getByRole('button', { name: 'Filter' }).click();
    assert.equal(await page.locator('#rows tr').count(), 1);
    await page.locator('#rows .open').click();
    await page.getByText('34 bytes, in the sealed table').waitFor();
    await page.goto(run.inspector + detail);
    await page.getByText('On one line').click();
    assert.equal(await page.locator('#raw').isVisible(), true);
    for (const at of [entity, 'states', 'forwarding', 'registration']) {
      await page.goto(run.inspector + at);
      assert.ok((await page.locator('main').innerText()).length > 100, at);
    }
  });

  await check('what comes from outside is text', async () => {
    const page = await open('');
    const row = page.locator('#rows tr', { hasText: 'whatsapp#972500000000' });
    assert.equal((await row.locator('.reference').innerText()).trim(), HOSTILE);
    await row.locator('.open').click();
    const body = await page.locator('pre.body').innerText();
    assert.ok(body.includes('\\u001b[2J\\u202egpj'), body);
    assert.doesNotMatch(await page.title(), /owned/);
    assert.equal(await page.locator('main img, main script').count(), 0);
  });

  await check('no secret is in any page', async () => {
    const token = new URL(run.webhook).pathname.split('/').pop();
    for (const at of pages) {
      const html = await (await fetch(run.inspector + at)).text();
      for (const secret of [API_KEY, token, 'Foreign-Token', new URL(run.inspector).pathname.split('/')[1]]) {
        assert.ok(!html.includes(secret), `${secret} is in ${at}`);
      }
    }
  });

  await check('a phone shows the first delivery at once, whole numbers, and the filters on demand', async () => {
    const page = await open('?since=30d', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true });
    const first = await page.locator('#rows tr').first().boundingBox();
    assert.ok(first.y + first.height <= 844, `the first row ends at ${first.y + first.height}`);
    const cut = await page.locator('#rows td.entity').evaluateAll((cells) => cells
      .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent));
    assert.deepEqual(cut, []);
    assert.equal(await page.getByLabel('Kind', { exact: true }).isVisible(), false);
    await page.getByLabel('More filters').check();
    await page.getByLabel('Kind', { exact: true }).selectOption('package');
    await picture(page, 'phone-filters');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.waitForURL(/kind=package/);
    assert.equal(await page.getByLabel('Kind', { exact: true }).isVisible(), true, 'what narrows the list is seen');
  });

  await check('a long text is cut at its own end, and whole as a tooltip', async () => {
    const { id } = await post(run.webhook, { event: 'package', package_reference: long });
    await post(run.webhook, { event: 'whatsapp', whatsapp: '972541112244', whatsapp_reference: long, display_name: long });
    const page = await open('');
    const cell = rowOf(page, id).locator('.reference');
    assert.equal(await cell.getAttribute('title'), long);
    assert.equal(await cell.evaluate((element) => getComputedStyle(element).direction), 'rtl');
    await picture(page, 'long-reference');
  });

  await check('a phone has it all, and nothing sticks out', async () => {
    const options = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
    for (const [at, name] of [['', 'list'], [detail, 'detail'], [entity, 'timeline'], ['lines', 'lines'], ['client?reference=cafe-rimon', 'client'], ['states', 'states'], ['forwarding', 'forwarding'], ['registration', 'ledger']]) {
      const page = await open(at, options);
      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(widths[0] <= widths[1], `${name}: ${widths}`);
      const broken = await page.locator('.top nav a').evaluateAll((links) => links.filter((link) => {
        const text = document.createRange();
        text.selectNodeContents(link);
        return text.getClientRects().length > 1;
      }).map((link) => link.textContent));
      assert.deepEqual(broken, [], `${name}: a name in two lines`);
      const cut = await page.locator('.failures td.entity').evaluateAll((cells) => cells
        .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent));
      assert.deepEqual(cut, []);
      await picture(page, `phone-${name}`, { fullPage: true });
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, `phone-dark-${name}`, { fullPage: true });
      await page.close();
    }
  });

  await check('at every width the page fits its window, and no number in a list is cut', async () => {
    // Two rows of the same second show their milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 1000 - Date.now() % 1000));
    await Promise.all([3, 4].map((update) => post(run.webhook, { event: 'whatsapp', whatsapp: '972541112233', whatsapp_extra_info: update })));
    const ofLong = [`client?reference=${encodeURIComponent(long)}`, 'entity?name=whatsapp%23972541112244', 'entity?name=whatsapp%23972500000000'];
    const misfits = [];
    for (const width of [320, 360, 390, 408, 700, 768, 850, 900, 1024, 1280]) {
      const page = await open('', { viewport: { width, height: 900 } });
      for (const at of [...pages, ...ofLong, 'states?kind=online', '?kind=quarantine']) {
        await page.goto(run.inspector + at);
        const [whole, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        if (whole > seen) misfits.push(`${at} at ${width}: ${whole} of ${seen}`);
        const broken = await page.locator('.sheet td.entity').evaluateAll((cells) => cells.filter((cell) => {
          const text = document.createRange();
          text.selectNodeContents(cell.querySelector('a'));
          const lines = new Set([...text.getClientRects()].map((line) => Math.round(line.bottom)));
          const isNumber = /^whatsapp#\d{12}$/.test(cell.textContent.trim());
          return isNumber && (lines.size > 1 || cell.scrollWidth > cell.clientWidth);
        }).map((cell) => cell.textContent.trim()));
        if (broken.length > 0) misfits.push(`${at} at ${width}: in two lines, or cut: ${broken}`);
      }
      await page.close();
    }
    assert.deepEqual(misfits, []);
  });

  for (const colorScheme of ['light', 'dark']) {
    await check(`axe finds nothing to complain about in ${colorScheme} colours`, async () => {
      const page = await open('', { colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
      for (const at of [...pages, '?text=nobody-has-this', 'delivery?id=019aaaaa-0000-7000-8000-000000000000']) {
        await page.goto(run.inspector + at);
        await assertAccessible(page);
      }
    });
  }

  // Its deliveries fill the list, so no check of the list follows.
  await check('a page that was hidden while more came than it shows says so', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    await page.addInitScript(() => {
      globalThis.isHidden = false;
      Object.defineProperty(document, 'hidden', { get: () => globalThis.isHidden });
    });
    const turn = (isHidden) => page.evaluate((hidden) => {
      globalThis.isHidden = hidden;
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
    await page.goto(run.inspector + '?kind=flood');
    await page.locator('#live[data-state="live"]').waitFor();
    const first = await post(run.webhook, { event: 'flood', n: 0 });
    await rowOf(page, first.id).waitFor();
    await turn(true);
    for (let n = 1; n <= 60; n += 1) await post(run.webhook, { event: 'flood', n });
    await turn(false);
    await page.locator('#cut', { hasText: 'More deliveries arrived than are shown here' }).waitFor();
    await context.close();
  });

  await check('while nobody knows whether the webhook is registered, every page says so and no light is green', async () => {
    const page = await open('');
    await page.locator('#live[data-state="live"]').waitFor();
    await failing(run.dynamodb);
    await page.reload();
    await page.locator('#banner', { hasText: 'the checks fail with WrongCredentials' }).waitFor();
    await page.locator('#live[data-state="off"]', { hasText: 'registration not known' }).waitFor();
    await page.screenshot({ path: path.join(pictures, 'not-known.png') });
    await page.goto(run.inspector + 'registration');
    await page.getByRole('heading', { name: 'Not known: the checks fail' }).waitFor();
    await page.screenshot({ path: path.join(pictures, 'registration-not-known.png') });
    await recovered();
    await page.goto(run.inspector);
    await page.locator('#live[data-state="live"]').waitFor();
  });

  await check('the browser has nothing to complain about', () => {
    // The pages that are not there, and the field that cannot be used, were asked for.
    assert.deepEqual(complaints.filter((complaint) => !/status of 40[04]/.test(complaint)), []);
  });

  // The pages of all checks are still open, and complain when the run ends, so no check of complaints follows.
  await check('an open page reconnects to the next local run, and shows what is there then', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(600_000);
    await page.goto(run.inspector);
    await page.locator('#live[data-state="live"]').waitFor();
    const { id } = await post(run.webhook, { event: 'package', package_reference: 'of the first run' });
    await rowOf(page, id).waitFor();
    await run.stop();
    await page.locator('#live[data-state="off"]').waitFor();
    const address = run.inspector;
    run = await start();
    assert.equal(run.inspector, address);
    await page.locator('#live[data-state="live"]').waitFor();
    await rowOf(page, id).waitFor({ state: 'detached' });
    const next = await post(run.webhook, { event: 'package', package_reference: 'of the second run' });
    await rowOf(page, next.id).waitFor();
    await context.close();
  });
} finally {
  await browser.close();
  await run.stop();
}

console.log(`${results.passed} checks passed${results.failed > 0 ? `, ${results.failed} failed` : ''}`);
process.exitCode = results.failed > 0 ? 1 : 0;
