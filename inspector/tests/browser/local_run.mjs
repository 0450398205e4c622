// A real `hooks dev`, and what happens to it through its own doors.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const root = path.resolve(import.meta.dirname, '../../..');

const hooks = (...args) => spawn('cargo', ['hooks', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });

export async function start() {
  const dev = hooks('dev');
  const printed = [];
  dev.stderr.on('data', (data) => printed.push(data));
  const ended = once(dev, 'exit');
  const inspector = await new Promise((resolve, reject) => {
    createInterface({ input: dev.stdout }).on('line', (line) => {
      printed.push(`${line}\n`);
      const address = line.match(/http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\//);
      // What it prints after the address is printed with it.
      if (address) resolve(address[0]);
    });
    ended.then(() => reject(new Error(`hooks dev has ended:\n${printed.join('')}`)));
  });
  const { webhook, dynamodb } = JSON.parse(await readFile(path.join(root, 'target/hooks/run.json'), 'utf8'));
  return {
    inspector,
    webhook,
    dynamodb,
    async stop() {
      dev.kill('SIGTERM');
      await ended;
    },
  };
}

// Posts what is received to the webhook, and gives its answer.
export async function post(webhook, body) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await fetch(webhook, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
  if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const text = (S) => ({ S });
const micros = (time) => time.toISOString().replace('Z', '000Z');

async function put(dynamodb, item) {
  const answer = await fetch(dynamodb, {
    method: 'POST',
    headers: {
      'x-amz-target': 'DynamoDB_20120810.PutItem', 'content-type': 'application/x-amz-json-1.0', 'x-amz-date': '20261122T120000Z',
      authorization: 'AWS4-HMAC-SHA256 Credential=local/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
    },
    body: JSON.stringify({ TableName: 'events', Item: item }),
  });
  if (answer.status !== 200) throw new Error(`the record is not written: ${await answer.text()}`);
}

// Leaves the record of a check of a line's own webhook.
export async function checked(dynamodb, entity, webhook, facts = {}) {
  const at = text(micros(new Date()));
  const strings = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, text(value)]));
  await put(dynamodb, {
    pk: text(entity), sk: text('line'), version: { N: '1' }, webhook: text(webhook), since: at, attempted_at: at, checked_at: at,
    concluded: text(webhook), ...(webhook === 'live' ? { live_at: at } : { not_live_since: at }), ...strings,
  });
}

// Leaves the forwarder's record that the endpoint has refused an event. Without a next attempt it is a dead letter.
export async function refuse(dynamodb, id, entity, next) {
  const at = micros(new Date());
  await put(dynamodb, {
    pk: text('forward-failures'), sk: text(`event#${id}`), entity: text(entity), attempts: { N: '3' },
    first_attempt_at: text(at), last_attempt_at: text(at), answer: text('answered 503: upstream is being restarted, try again later'),
    ...(next ? { next_attempt_at: text(micros(next)) } : {}),
  });
}

// Runs a command of `hooks` to its end.
export async function command(...args) {
  const run = hooks(...args);
  const output = [];
  run.stdout.on('data', (data) => output.push(data));
  run.stderr.on('data', (data) => output.push(data));
  const [code] = await once(run, 'exit');
  if (code !== 0) throw new Error(`hooks ${args.join(' ')}: ${output.join('')}`);
}

const line = (number, reference, extra) => ({
  status: 'OK', event: 'whatsapp', whatsapp: number, whatsapp_reference: reference, ...extra,
});
const bot = (id, extra) => ({
  status: 'OK', event: 'builder', builderID: id, builder_url: `https://bots.example.com/${id}`,
  builder_reference: `bot-${id}`, ...extra,
});
const inbox = (account, extra) => ({
  status: 'OK', event: 'online', accountID: account, agentID: 14, inboxID: 3, server: 'online',
  online_reference: `inbox-${account}`, ...extra,
});

export const API_KEY = 'Api-Key-0123456789-abcdef';
export const HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">\'"';
export const LINE = 'whatsapp#972541112233';

// Some days of a partner, in some seconds.
export async function fill(webhook) {
  const first = line('972541112233', 'cafe-rimon', {
    whatsapp_extra_info: 1, daily_limit: 250, whatsapp_apiKey: API_KEY, display_name: 'Café Rimon',
  });
  await post(webhook, first);
  const original = await post(webhook, first);
  await post(webhook, line('972541112233', 'cafe-rimon', { whatsapp_extra_info: 2, daily_limit: 1000, whatsapp_apiKey: API_KEY }));
  await post(webhook, line('972541112233', 'cafe-rimon', { whatsapp_extra_info: 4, quality: 'green' }));
  for (const [n, name] of ['garage-levi', 'dr-cohen', 'pizza-99', 'yoga-tlv', 'flowers-by-noa'].entries()) {
    const number = `97252${4_400_100 + n * 37}`;
    await post(webhook, line(number, name, { whatsapp_extra_info: 1, whatsapp_apiKey: `${API_KEY}-${n}` }));
    if (n % 2 === 0) await post(webhook, line(number, name, { whatsapp_extra_info: 2, daily_limit: 1000, whatsapp_apiKey: `${API_KEY}-${n}` }));
    await post(webhook, bot(700 + n, { builder_extra_info: n % 3 }));
    await post(webhook, inbox(910 + n, { online_extra_info: 7 - n }));
  }
  await post(webhook, bot(702, { builder_extra_info: 3 }));
  await post(webhook, bot(702, { builder_extra_info: 3 }));
  await post(webhook, { status: 'OK', event: 'package', package_reference: 'cafe-rimon', package_name: 'Gold', messages: 10000 });
  await post(webhook, { status: 'OK', event: 'partners', threshold: 'messages', value: 9000 });
  await post(webhook, { status: 'OK', event: 'voice', voice_reference: 'שלום-1', voice_extra_info: 3, minutes: [12, 30] });
  await post(webhook, line('972500000000', HOSTILE, { whatsapp_extra_info: 1, note: `${HOSTILE}\u001b[2J\u202egpj` }));
  await post(webhook, '{"status":"OK" "event":"whatsapp"}');
  return original;
}

// Somebody else's URL is registered, and ours put back.
export async function drift() {
  await command('webhook', 'set', 'https://other.example.com/in/Foreign-Token-9876543210', '--yes');
  await command('webhook', 'sync');
}

// The checks of the registration fail.
export async function failing(dynamodb) {
  const [checked, failed] = [60_000, 30_000].map((ago) => text(micros(new Date(Date.now() - ago))));
  await put(dynamodb, {
    pk: text('registration'), sk: text('state'), version: { N: '1' }, registered: text('https://hooks.example.com/v1/webhook/***2b72'),
    checked_at: checked, ours_at: checked, failing_since: failed, failure: text('WrongCredentials'),
  });
}

// They succeed again.
export async function recovered() {
  await command('webhook', 'sync');
}
