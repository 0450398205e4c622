'use strict';

// The pages work without this file: links and forms read, filter and turn them.

const byId = (id) => document.getElementById(id);

const choices = {
  kept(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  },
  keep(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  },
};

const colours = {
  show(name) {
    document.documentElement.dataset.colours = name;
  },
  isDark() {
    const chosen = document.documentElement.dataset.colours;
    return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  },
};

// Before anything is drawn.
if (['dark', 'light'].includes(choices.kept('colours'))) colours.show(choices.kept('colours'));

function setUpColours() {
  const button = byId('theme');
  const press = () => button.setAttribute('aria-pressed', String(colours.isDark()));
  press();
  button.addEventListener('click', () => {
    const name = colours.isDark() ? 'light' : 'dark';
    colours.show(name);
    choices.keep('colours', name);
    press();
  });
}

const times = {
  isLocal: false,
  // The texts with times that have been rewritten, as they came.
  asReceived: new WeakMap(),
  // Shows the times in a part of the page, in UTC or in local time.
  show(part) {
    for (const element of part.querySelectorAll('time[datetime]')) times.write(element);
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      // What events contain stays as they have it.
      if (!text.parentElement.closest('bdi, code, pre, [dir]')) times.writeIn(text, 'data');
    }
    for (const element of part.querySelectorAll('time[title], span[title]')) times.writeIn(element, 'title');
  },
  // Writes the times in a text of ours.
  writeIn(owner, name) {
    const text = times.asReceived.get(owner) ?? owner[name];
    const written = text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (time, fraction = '') => {
      const { date, clock, offset } = times.parts(new Date(time));
      return `${date}T${clock}${fraction}${offset}`;
    });
    if (written === owner[name]) return;
    times.asReceived.set(owner, text);
    owner[name] = written;
  },
  parts(at) {
    const get = (name) => (times.isLocal ? at[`get${name}`]() : at[`getUTC${name}`]());
    const two = (number) => String(number).padStart(2, '0');
    const day = `${two(get('Month') + 1)}-${two(get('Date'))}`;
    const clock = `${two(get('Hours'))}:${two(get('Minutes'))}:${two(get('Seconds'))}`;
    return { day, clock, date: `${get('FullYear')}-${day}`, offset: times.offset(at) };
  },
  write(element) {
    const { day, clock } = times.parts(new Date(element.dateTime));
    if (element.querySelector('.clock')) {
      element.querySelector('.day').textContent = day;
      element.querySelector('.clock').textContent = clock;
    } else if (element.dataset.form === 'minute') {
      element.textContent = `${day} ${clock.slice(0, 5)}`;
    }
  },
  // Adds the zone to a day or a time without one, which the inspector would take for UTC.
  withZone(text) {
    const [, day, clock = '00:00'] = text.trim().match(/^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?$/) ?? [];
    const at = day ? new Date(`${day}T${clock}`) : new Date();
    const daysAgo = { today: 0, yesterday: 1 }[text.trim().toLowerCase()];
    if (daysAgo !== undefined) at.setHours(-24 * daysAgo, 0, 0, 0);
    if ((!day && daysAgo === undefined) || Number.isNaN(at.getTime())) return text;
    const local = times.parts(at);
    return `${local.date}T${local.clock}${local.offset}`;
  },
  zone() {
    return times.isLocal ? Intl.DateTimeFormat().resolvedOptions().timeZone : 'UTC';
  },
  offset(at) {
    if (!times.isLocal) return 'Z';
    const minutes = -at.getTimezoneOffset();
    const two = (number) => String(Math.floor(number)).padStart(2, '0');
    return `${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
  },
};

function setUpTimes() {
  const button = byId('zone');
  const show = () => {
    button.setAttribute('aria-pressed', String(times.isLocal));
    for (const zone of document.querySelectorAll('.zone')) zone.textContent = times.zone();
    times.show(document);
  };
  const until = byId('until');
  until?.form.addEventListener('submit', () => {
    if (times.isLocal) until.value = times.withZone(until.value);
  });
  times.isLocal = choices.kept('times') === 'local';
  if (times.isLocal) show();
  button.addEventListener('click', () => {
    times.isLocal = !times.isLocal;
    choices.keep('times', times.isLocal ? 'local' : 'utc');
    show();
  });
}

function setUpKeys() {
  const help = byId('help');
  const open = () => help.showModal();
  byId('keys').addEventListener('click', open);
  const move = (step) => {
    const lines = [...document.querySelectorAll('.lines .open')];
    const at = lines.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : lines.length - 1) : Math.min(Math.max(at + step, 0), lines.length - 1);
    lines[next]?.focus();
  };
  const keys = {
    '/': () => document.querySelector('.filter input')?.focus(),
    '?': open,
    j: () => move(1),
    k: () => move(-1),
  };
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target.closest?.('input, select, textarea, dialog');
    if (event.key === 'Escape' && isTyping) event.target.blur();
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
}

function setUpCopying() {
  for (const button of document.querySelectorAll('.copy')) {
    button.hidden = false;
    const name = button.textContent;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(byId(button.dataset.copy).textContent);
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Copy failed';
      }
      setTimeout(() => { button.textContent = name; }, 1500);
    });
  }
}

// Rows of a page.
const MOST_ROWS = 50;

// Milliseconds until a lost connection is tried again.
const AGAIN_AFTER = 2000;

// Milliseconds between announcements, so that a screen reader does not read a number every second.
const NEWS_EVERY = 5000;

// Milliseconds until an open page looks again for another receiver of the events.
const LOOK_EVERY = 30000;

// Shows when another URL receives the events, and when the inspector has ended. Returns the function that looks now.
function setUpBanner() {
  let shown = byId('banner')?.innerHTML.trim();
  let answeredAt = new Date();
  const look = async () => {
    if (document.hidden || !byId('silence')) return;
    let answer = null;
    try {
      answer = await fetch('banner', { cache: 'no-store' });
      answeredAt = new Date();
    } catch {
      byId('silence').textContent = `The inspector has not answered since ${times.parts(answeredAt).clock} ${times.zone()}. This page shows the state at that time or earlier.`;
    }
    byId('silence').hidden = answer !== null;
    const html = answer?.ok ? (await answer.text()).trim() : shown;
    if (html === shown || !byId('banner')) return;
    shown = html;
    byId('banner').innerHTML = html;
    times.show(byId('banner'));
    document.dispatchEvent(new Event('banner'));
  };
  setInterval(look, LOOK_EVERY);
  document.addEventListener('visibilitychange', look);
  return look;
}

function setUpLive(look) {
  const state = byId('live');
  if (!state) return;
  const rows = byId('rows');
  let untold = 0;
  const say = (text, name) => {
    byId('live-text').textContent = text;
    state.dataset.state = name;
  };
  // No green light while the events go elsewhere, or may.
  const sayLive = () => {
    const banner = byId('banner').firstElementChild;
    if (banner) say(banner.dataset.live, 'off');
    else say('live', 'live');
  };
  const complain = (id, text) => {
    byId(id).textContent = text;
    byId(id).hidden = text === '';
  };
  const tell = () => {
    if (untold === 0) return;
    byId('news').textContent = untold === 1 ? '1 new delivery' : `${untold} new deliveries`;
    untold = 0;
  };
  const turnOver = () => {
    while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
    const older = byId('older');
    const link = new URL(older.href);
    link.searchParams.set('after', rows.lastElementChild.dataset.id);
    older.href = link;
    older.hidden = false;
  };
  // Rows of the same second show their milliseconds.
  const tellApart = (row) => {
    const second = (other) => other.querySelector('time').dateTime.slice(0, 19);
    for (const other of [row.previousElementSibling, row.nextElementSibling]) {
      if (!other || second(other) !== second(row)) continue;
      for (const millis of [row, other].map((one) => one.querySelector('.millis'))) millis.hidden = false;
    }
  };
  const add = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    const row = template.content.querySelector('tr');
    // Ids sort by the time.
    const next = [...rows.children].find((other) => other.dataset.id <= row.dataset.id) ?? null;
    if (next?.dataset.id === row.dataset.id) return;
    row.classList.add('new');
    rows.insertBefore(row, next);
    times.show(row);
    tellApart(row);
    byId('list').hidden = false;
    byId('empty')?.remove();
    if (rows.children.length > MOST_ROWS) turnOver();
    untold += 1;
  };

  let source = null;
  let run = null;
  // A page from an earlier run may show deliveries that no longer exist.
  const check = (other) => {
    if (run && run !== other) location.reload();
    run = other;
  };
  const tryAgain = () => setTimeout(async () => {
    let answer = null;
    try {
      answer = await fetch('icon.svg', { method: 'HEAD', cache: 'no-store' });
    } catch {
      // No inspector is running yet.
    }
    if (answer?.status === 404) say('this address is no longer valid', 'off');
    else if (answer) listenWhileSeen();
    else tryAgain();
  }, AGAIN_AFTER);

  const listen = () => {
    const link = new URL(state.dataset.stream, location.href);
    if (rows.firstElementChild) link.searchParams.set('after', rows.firstElementChild.dataset.id);
    const source = new EventSource(link);
    source.addEventListener('open', () => {
      // If the deliveries still cannot be read, the next event says so.
      complain('trouble', '');
      sayLive();
      look();
    });
    source.addEventListener('error', () => {
      say('reconnecting', 'off');
      look();
      if (source.readyState === EventSource.CLOSED) tryAgain();
    });
    source.addEventListener('run', (event) => check(event.data));
    source.addEventListener('row', (event) => add(event.data));
    source.addEventListener('chart', (event) => {
      byId('chart').innerHTML = event.data;
      times.show(byId('chart'));
    });
    source.addEventListener('missed', () => complain('cut', 'More deliveries arrived than are shown here. Reload the page to see them.'));
    source.addEventListener('trouble', (event) => complain('trouble', `New deliveries cannot be read: ${event.data}`));
    source.addEventListener('recovered', () => complain('trouble', ''));
    return source;
  };

  state.hidden = false;
  setInterval(tell, NEWS_EVERY);
  // A hidden page reads nothing, and takes none of the few connections that a browser opens.
  const listenWhileSeen = () => {
    source?.close();
    source = document.hidden ? null : listen();
  };
  listenWhileSeen();
  document.addEventListener('visibilitychange', listenWhileSeen);
  document.addEventListener('banner', () => {
    if (source?.readyState === EventSource.OPEN) sayLive();
  });
}

document.addEventListener('DOMContentLoaded', () => {
  byId('tools').hidden = false;
  setUpColours();
  setUpTimes();
  setUpKeys();
  setUpCopying();
  setUpLive(setUpBanner());
});
