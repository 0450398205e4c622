'use strict';

// The pages work without this file: links and forms read, filter and turn them.

const byId = (id) => document.getElementById(id);

const colours = {
  kept() {
    try {
      return localStorage.getItem('colours');
    } catch {
      return null;
    }
  },
  keep(name) {
    try {
      localStorage.setItem('colours', name);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  },
  show(name) {
    document.documentElement.dataset.colours = name;
  },
  isDark() {
    const chosen = document.documentElement.dataset.colours;
    return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  },
};

// Before anything is drawn.
if (['dark', 'light'].includes(colours.kept())) colours.show(colours.kept());

function setUpColours() {
  const button = byId('theme');
  const press = () => button.setAttribute('aria-pressed', String(colours.isDark()));
  press();
  button.addEventListener('click', () => {
    const name = colours.isDark() ? 'light' : 'dark';
    colours.show(name);
    colours.keep(name);
    press();
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

// Milliseconds between announcements, so that a screen reader does not read a number every second.
const NEWS_EVERY = 5000;

function setUpLive() {
  const state = byId('live');
  if (!state) return;
  const rows = byId('rows');
  let untold = 0;
  const say = (text, name) => {
    byId('live-text').textContent = text;
    state.dataset.state = name;
  };
  const complain = (text) => {
    byId('trouble').textContent = text;
    byId('trouble').hidden = text === '';
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
  const add = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    const row = template.content.querySelector('tr');
    // Ids sort by the time.
    const next = [...rows.children].find((other) => other.dataset.id <= row.dataset.id) ?? null;
    if (next?.dataset.id === row.dataset.id) return;
    row.classList.add('new');
    rows.insertBefore(row, next);
    byId('list').hidden = false;
    byId('empty')?.remove();
    if (rows.children.length > MOST_ROWS) turnOver();
    untold += 1;
  };

  const listen = () => {
    const link = new URL(state.dataset.stream, location.href);
    if (rows.firstElementChild) link.searchParams.set('after', rows.firstElementChild.dataset.id);
    const source = new EventSource(link);
    source.addEventListener('open', () => say('live', 'live'));
    source.addEventListener('error', () => {
      const isOver = source.readyState === EventSource.CLOSED;
      say(isOver ? 'disconnected, reload the page' : 'reconnecting', 'off');
    });
    source.addEventListener('row', (event) => add(event.data));
    source.addEventListener('chart', (event) => { byId('chart').innerHTML = event.data; });
    source.addEventListener('missed', () => complain('More deliveries arrived than are shown here. Reload the page to see them.'));
    source.addEventListener('trouble', (event) => complain(`New deliveries cannot be read: ${event.data}`));
    source.addEventListener('recovered', () => complain(''));
    return source;
  };

  state.hidden = false;
  setInterval(tell, NEWS_EVERY);
  let source = null;
  // A hidden page reads nothing, and takes none of the few connections that a browser opens.
  const listenWhileSeen = () => {
    source?.close();
    source = document.hidden ? null : listen();
  };
  listenWhileSeen();
  document.addEventListener('visibilitychange', listenWhileSeen);
}

document.addEventListener('DOMContentLoaded', () => {
  byId('tools').hidden = false;
  setUpColours();
  setUpKeys();
  setUpCopying();
  setUpLive();
});
