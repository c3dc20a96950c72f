// The page: hears what happens, shows it, and asks for changes. All it shows comes from the snapshot and the events after it.

import { Charts } from './charts.js';
import { bytes, clock, make, number, percent, put, time } from './format.js';
import { History } from './history.js';
import { Tables } from './tables.js';

const at = (id) => document.getElementById(id);

// Seconds without a word until the page says that it hears nothing: something is told at least once a second while a load runs.
const QUIET_MS = 4000;
const AGAIN_MS = 3000;

let state = null;
let held = false;
let is_dirty = false;
let source = null;
let heard = 0;
let lost_since = null;
let is_over = false;

const charts = new Charts(at('charts'));
const history_of_reports = new History(ask);
const tables = new Tables(at('tabs'), at('panels'), [['reports', 'Past reports', (now) => history_of_reports.fill(now)]]);

// Asks the API; what goes wrong comes back as `error`.
async function ask(method, path, body) {
  try {
    const answer = await fetch(path, method === 'GET' ? {} : { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body ?? {}) });
    const told = await answer.json();
    return answer.ok ? told : { error: told.error ?? `status ${answer.status}` };
  } catch {
    return { error: 'the driver does not answer' };
  }
}

// --- What is heard

// Rows become columns, with a gap between two levels.
function columns_of(points, marks, traced) {
  const made = { t: [], columns: { level: [] }, hops_columns: points.hops.map(() => []), heat: [], cells: points.cells, hops: points.hops, step: points.step_s, marks, traced };
  for (const cell of points.cells) made.columns[cell] = [];
  points.rows.forEach((row) => add(made, row));
  return made;
}

function add(points, row) {
  const last = points.columns.level.at(-1);
  if (last !== undefined && last !== null && last !== row.level) push(points, { t: Math.max(points.t.at(-1), row.t - points.step) , level: null, cells: points.cells.map(() => null), hops: points.hops.map(() => null), heat: [] });
  push(points, row);
}

function push(points, row) {
  points.t.push(row.t);
  points.columns.level.push(row.level);
  points.cells.forEach((cell, index) => points.columns[cell].push(row.cells[index]));
  points.hops_columns.forEach((column, index) => column.push(row.hops[index] ?? null));
  points.heat.push(row.heat);
}

const HEARD = {
  snapshot(told) {
    const points = columns_of(told.points, told.marks, told.head.traced);
    state = { ...told, points };
    charts.reset(Object.assign(points, { hops: told.points.hops }));
    is_over = false;
  },
  tick(told) {
    if (told.row) add(state.points, told.row);
    Object.assign(state, { head: told.head, now: told.now });
  },
  state(told) {
    state.head = told;
  },
  mark(told) {
    state.marks.push(told);
    while (state.marks.length > 200) state.marks.shift();
  },
  log(told) {
    state.log.push(told);
    while (state.log.length > 200) state.log.shift();
  },
  level(told) {
    state.levels.push(told);
    state.now = { ...state.now, tiles: told.tiles, tables: null, generator: null, backlog_trend: null };
  },
  bye() {
    is_over = true;
    source.close();
    setTimeout(connect, AGAIN_MS);
  },
};

function hear(kind, told) {
  heard = Date.now();
  lost_since = null;
  if (kind !== 'snapshot' && !state) return;
  HEARD[kind](told);
  is_dirty = true;
  schedule();
}

function connect() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource('events');
  for (const kind of Object.keys(HEARD)) source.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  source.onopen = () => {
    heard = Date.now();
    lost_since = null;
    link();
  };
  source.onerror = async () => {
    lost_since ??= Date.now();
    // A refusal ends it; a server that has gone is tried again by the browser.
    if (source.readyState === EventSource.CLOSED) {
      const answer = await ask('GET', 'api/state');
      if (answer.error) notice(answer.error);
      setTimeout(connect, AGAIN_MS);
    }
    link();
  };
}

// A browser lets all its tabs have six connections to a page between them: a stream is for a tab that is seen.
document.addEventListener('visibilitychange', () => {
  source?.close();
  [heard, lost_since] = [Date.now(), null];
  connect();
});

// Says when nothing is heard.
function link() {
  const is_lost = lost_since !== null && Date.now() - lost_since > 1500;
  const is_quiet = !is_lost && ['running', 'spawning'].includes(state?.head.state) && Date.now() - heard > QUIET_MS;
  document.body.classList.toggle('lost', is_lost || is_over);
  if (is_over) notice(`The driver has ended. ${state?.levels.length && state.head.folder ? `Its report is in ${state.head.folder}.` : ''} This page shows what was seen last.`);
  else if (is_lost) notice(`Lost: the driver has not answered for ${Math.round((Date.now() - lost_since) / 1000)} s. Trying again; this is what was seen last.`);
  else if (is_quiet) notice('Nothing has been heard for some seconds: the driver is busy, or stands still.');
  else if (notice.of_link) notice('');
  notice.of_link = is_over || is_lost || is_quiet;
}

function notice(text) {
  const place = at('notice');
  put(place, text);
  place.hidden = !text;
  place.classList.toggle('calm', is_over);
}

// --- What is shown

let scheduled = false;
function schedule() {
  if (scheduled || held) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    if (!held && is_dirty && state) draw();
  });
}

function draw() {
  is_dirty = false;
  const begun = performance.now();
  link();
  idle();
  head();
  tiles();
  generator();
  state.points.marks = state.marks;
  charts.points = state.points;
  charts.draw();
  tables.draw(state);
  // For whoever tests what a tick costs.
  document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn ?? 0) + 1);
  document.documentElement.dataset.drawMs = (performance.now() - begun).toFixed(1);
}

// Before anything has run: what can be started, and what has been.
function idle() {
  const is_empty = !state.head.sweep && !state.points.t.length;
  if (is_empty && !document.body.classList.contains('empty')) tables.show('reports');
  if (!is_empty && document.body.classList.contains('empty')) tables.show('levels');
  document.body.classList.toggle('empty', is_empty);
  const place = at('plans');
  place.hidden = !is_empty || !state.plans.length;
  if (place.hidden || place.dataset.of === String(state.plans.length)) return;
  place.dataset.of = state.plans.length;
  place.replaceChildren(make('h2', {}, 'What can be started'), ...state.plans.map((plan) => {
    const button = make('button', { type: 'button', 'aria-label': `Start ${plan.name}…` }, 'Start…');
    button.addEventListener('click', () => {
      at('start').click();
      at('start-plan').value = plan.name;
      choose_plan();
    });
    return make('article', { class: 'plan' }, make('h3', {}, plan.name), make('p', {}, plan.about), button);
  }));
}

function head() {
  const { head: now, command, version } = state;
  const word = at('state');
  put(word, now.state === 'spawning' && !now.setting?.users ? 'running' : now.state);
  word.dataset.state = now.state;
  put(at('sentence'), now.sentence);
  at('sentence').classList.toggle('trouble', now.trouble);
  put(at('what'), [now.plan ?? command, now.sweep].filter(Boolean).join(' · '));
  document.title = `${now.state}${now.setting ? ` · ${now.setting.text}` : ''} · Stampede`;
  const setting = now.setting;
  const facts = [];
  if (setting) {
    facts.push(['setting', setting.text], ['loop', setting.loop], ['level', setting.of > setting.number ? `${setting.number} of ${setting.of}` : setting.number], ['for', clock(setting.since_s)]);
    if (setting.spawn) facts.push(['spawn', `${number(setting.spawn)}/s`]);
  }
  if (now.sweep) facts.push(['in all', clock(now.t)]);
  if (now.traced && now.every) facts.push(['sampled', `1 in ${number(now.every)}`]);
  if (now.foreign_clocks) facts.push(['clocks', 'of others: latencies as measured; the report bounds them']);
  facts.push(['version', version]);
  list(at('facts'), facts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
  const verdicts = now.thresholds;
  at('thresholds').hidden = !verdicts.length;
  list(at('thresholds'), verdicts.map(({ threshold, held: holds, told, measured }) => {
    const is_open = !measured && now.state !== 'done';
    const word_of = is_open ? `not measured${now.state === 'failed' ? '' : ' yet'}` : holds ? 'held' : 'missed';
    return make('li', { class: is_open ? 'tag' : holds ? 'tag good' : 'tag bad' }, make('strong', {}, threshold), ` ${word_of}${told && !is_open ? `: ${told}` : ''}`);
  }));
  for (const what of ['start', 'edit', 'pause', 'stop']) at(what).hidden = !now.can.includes(what);
  put(at('start'), now.state === 'paused' ? 'Go on' : 'Start…');
}

// Puts elements in place of those that were there, where they differ.
function list(place, elements) {
  const same = elements.length === place.children.length && elements.every((element, index) => element.isEqualNode(place.children[index]));
  if (!same) place.replaceChildren(...elements);
}

const SPARK = 60;

// The last minute of a cell, as a line of 100 × 24.
function spark(cells, log) {
  const shown = cells.slice(-SPARK);
  const values = shown.map((value) => (value === null || value === undefined ? null : log ? Math.log(Math.max(value, 1)) : value));
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return '';
  const [least, most] = [log ? Math.min(...known) : 0, Math.max(...known)];
  let path = '';
  let pen = 'M';
  values.forEach((value, index) => {
    if (value === null) {
      pen = 'M';
      return;
    }
    const x = (100 * (index + SPARK - values.length)) / (SPARK - 1);
    path += `${pen}${x.toFixed(1)} ${(22 - (20 * (value - least)) / (most - least || 1)).toFixed(1)}`;
    pen = 'L';
  });
  return path;
}

const TILES = ['rate', 'http', 'arrival', 'backlog', 'lost'];
const SVG = 'http://www.w3.org/2000/svg';
const parts_of_tiles = new Map(TILES.map((id) => {
  const [name, value, more, note] = ['h2', 'p', 'p', 'p'].map((tag, index) => make(tag, { class: ['name', 'value', 'more', 'note'][index] }));
  const picture = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'path');
  picture.setAttribute('viewBox', '0 0 100 24');
  picture.setAttribute('preserveAspectRatio', 'none');
  picture.setAttribute('aria-hidden', 'true');
  picture.append(line);
  const tile = make('article', { class: 'tile', id: `tile-${id}` }, name, value, more, picture, note);
  at('tiles').append(tile);
  return [id, { tile, name, value, more, note, line }];
}));

function tile(id, { name, value, more, note, cells, log, mood }) {
  const parts = parts_of_tiles.get(id);
  put(parts.name, name);
  put(parts.value, value);
  put(parts.more, more);
  put(parts.note, note);
  const path = cells ? spark(cells, log) : '';
  if (parts.line.getAttribute('d') !== path) parts.line.setAttribute('d', path);
  parts.tile.dataset.mood = mood ?? '';
}

function tiles() {
  const { tiles: now, backlog_trend: trend, window_s } = state.now;
  const { columns } = state.points;
  const { traced } = state.head;
  const rate = (value) => (value === null || value === undefined ? 'n/a' : `${number(value)}/s`);
  const is_report = now.from === 'report';
  const window = is_report ? 'the last level, from its report' : `last ${window_s} s`;
  const rates = [['asked', now.asked], ['sent', now.sent], ['arrived', traced ? now.arrived : null], ['failed', now.failed || null]].filter(([, value]) => value !== null && value !== undefined);
  tile('rate', { name: 'Rate accepted', value: rate(now.accepted), more: rates.map(([name, value]) => `${name} ${number(value)}`).join(' · '), note: window, cells: columns.accepted, mood: now.failed > 0 ? 'bad' : '' });
  const spread = (figures) => (figures.n ? `p50 ${time(figures.p50_us)} · max ${time(figures.max_us)}` : 'nothing measured');
  const sampled = (figures) => {
    const band = figures.p99_band_us;
    return `n ${number(figures.n)}${band ? ` · 95 %: ${time(band[0])} to ${band[1] === null ? 'unknown' : time(band[1])}` : ''} · ${window}`;
  };
  tile('http', { name: 'HTTP p99', value: time(now.http.p99_us), more: spread(now.http), note: sampled(now.http), cells: columns.http_p99_us, log: true });
  parts_of_tiles.get('arrival').tile.hidden = parts_of_tiles.get('backlog').tile.hidden = parts_of_tiles.get('lost').tile.hidden = !traced;
  if (!traced) return;
  // While nothing arrives, those that have arrived tell too little: the others have waited for so long already.
  const waits = now.stalled_s !== null && now.stalled_s * 1e6 > (now.arrival.p99_us ?? 0) ? now.stalled_s * 1e6 : null;
  tile('arrival', { name: 'Arrival p99', value: waits ? `≥ ${time(waits)}` : time(now.arrival.p99_us), more: waits ? 'nothing arrives: so long the next has waited' : spread(now.arrival), note: sampled(now.arrival), cells: columns.arrival_p99_us, log: true, mood: waits ? 'bad' : '' });
  const flight = now.in_flight === null ? '' : `${number(now.in_flight)} in flight`;
  tile('backlog', { name: 'Backlog', value: number(now.backlog), more: [trend ?? (is_report ? 'when the load ended' : now.backlog === null ? null : 'stands still'), flight].filter(Boolean).join(' · '), note: is_report ? window : 'now; trend of the last 10 s', cells: columns.backlog, mood: trend?.startsWith('grows') ? 'bad' : '' });
  tile('lost', { name: is_report ? 'Lost' : 'Overdue', value: number(now.lost), more: is_report ? `accepted and never arrived${now.in_flight > 0 ? ', those in flight apart' : ''}` : 'not arrived 5 s after their last hop began', note: is_report ? window : 'now; what is lost is known after the drain', cells: columns.missing, mood: now.lost > 0 ? 'bad' : '' });
}

function generator() {
  const place = at('generator');
  const { generator: now } = state.now;
  place.hidden = !now;
  if (!now) return;
  place.classList.toggle('bad', Boolean(now.limited_by ?? now.lacks));
  const facts = [['CPU', percent(now.cpu_share)], ['send delay p99', time(now.send_delay_p99_us)], ['users', number(now.users)], ['waits for an answer', number(now.in_flight)], ['due and not begun', number(now.waiting)]];
  list(place, [
    make('p', { class: 'verdict' }, make('strong', {}, 'Load generator '), now.limited_by ? `is the limit, and not the pipeline: ${now.limited_by}.` : now.lacks ? `is not heard whole: ${now.lacks}.` : 'keeps up.'),
    make('dl', {}, ...facts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value)))),
  ]);
}

// --- What can be done

const FIELDS = [
  ['users', 'Users', 'closed loop: so many at a time'],
  ['rate', 'Rate a second', 'open loop: sent on schedule'],
  ['spawn', 'Spawn a second', 'empty: all at once'],
  ['duration_s', 'Seconds', 'empty: until it is ended'],
];

function fields(place, prefix, names, values) {
  place.replaceChildren(...FIELDS.filter(([name]) => names.includes(name)).map(([name, label, hint]) => {
    const id = `${prefix}-${name}`;
    const input = make('input', { id, name, type: 'number', min: name === 'users' ? '1' : '0', step: name === 'users' ? '1' : 'any', inputmode: 'decimal', 'aria-describedby': `${id}-hint` });
    if (values[name] !== null && values[name] !== undefined) input.value = values[name];
    return make('p', {}, make('label', { for: id }, label), input, make('small', { id: `${id}-hint` }, hint));
  }));
  // Users or a rate: whoever gives one takes the other back.
  const [users, rate] = ['users', 'rate'].map((name) => place.querySelector(`[name=${name}]`));
  users?.addEventListener('input', () => users.value && (rate.value = ''));
  rate?.addEventListener('input', () => rate.value && (users.value = ''));
}

const given = (form) => Object.fromEntries([...form.querySelectorAll('input[type=number]')].filter((input) => input.value !== '').map((input) => [input.name, Number(input.value)]));

function dialog(name, open, submit) {
  const [box, form, fault] = [at(`${name}-dialog`), at(`${name}-form`), at(`${name}-fault`)];
  form.querySelector('[data-close]').addEventListener('click', () => box.close());
  at(name).addEventListener('click', () => {
    put(fault, '');
    if (open() !== false) box.showModal();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('[type=submit]');
    button.disabled = true;
    const answer = await submit(form);
    button.disabled = false;
    if (answer.error) put(fault, answer.error);
    else box.close();
  });
}

function choose_plan() {
  const plan = state.plans.find(({ name }) => name === at('start-plan').value) ?? state.plans[0];
  put(at('start-about'), plan.about);
  at('start-params').replaceChildren(...(plan.params.length ? [make('fieldset', {}, make('legend', {}, 'Parameters'), make('div', { class: 'fields' }, ...plan.params.map(([name, value]) => {
    const input = make('input', { id: `param-${name}`, 'data-param': name, autocomplete: 'off' });
    input.value = value;
    return make('p', {}, make('label', { for: `param-${name}` }, name), input);
  })))] : []));
  fields(at('start-load'), 'start', ['users', 'rate', 'spawn', 'duration_s'], plan);
}

at('start-plan').addEventListener('change', choose_plan);
dialog('start', () => {
  if (state.head.state === 'paused') {
    ask('POST', 'api/start').then((answer) => answer.error && notice(answer.error));
    return false;
  }
  at('start-plan').replaceChildren(...state.plans.map(({ name }) => make('option', { value: name }, name)));
  choose_plan();
  return true;
}, (form) => {
  const plan = state.plans.find(({ name }) => name === at('start-plan').value);
  const known = new Map(plan.params);
  const changed = [...form.querySelectorAll('[data-param]')].filter((input) => input.value !== known.get(input.dataset.param));
  const load = given(form);
  return ask('POST', 'api/start', { plan: plan.name, params: Object.fromEntries(changed.map((input) => [input.dataset.param, input.value])), ...load, duration_s: load.duration_s ?? 0 });
});
dialog('edit', () => {
  const { users, rate, spawn } = state.head.setting ?? {};
  fields(at('edit-load'), 'edit', ['users', 'rate', 'spawn'], rate ? { rate, spawn } : { users, spawn });
  return true;
}, (form) => ask('POST', 'api/edit', given(form)));
dialog('stop', () => true, () => ask('POST', 'api/stop'));
at('pause').addEventListener('click', async () => {
  const answer = await ask('POST', 'api/pause');
  if (answer.error) notice(answer.error);
});

at('hold').addEventListener('click', () => {
  held = !held;
  at('hold').setAttribute('aria-pressed', String(held));
  put(at('hold'), held ? 'Go on showing' : 'Hold the page');
  schedule();
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const is_dark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
function recolour() {
  put(at('theme'), is_dark() ? 'Light' : 'Dark');
  if (state) charts.build();
}
at('theme').addEventListener('click', () => {
  document.documentElement.dataset.theme = is_dark() ? 'light' : 'dark';
  recolour();
});
dark.addEventListener('change', recolour);

// For whoever tries the page: what it knows, what it has drawn, and a way to let it hear something.
globalThis.stampede = { state: () => state, charts, hear, draw };

// --- The beginning

// The token is swapped for a cookie, and leaves the address.
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (token) {
  history.replaceState(null, '', location.pathname);
  const answer = await ask('POST', 'api/session', { token });
  if (answer.error) notice(answer.error);
}
recolour();
connect();
setInterval(link, 1000);
