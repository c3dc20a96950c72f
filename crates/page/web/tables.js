// The tabs: what was counted since the level began, the levels so far, and what can be taken away.

import { bytes, clock, make, number, percent, put, time } from './format.js';

const table = (caption, names, rows) =>
  make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    make('table', {}, make('caption', {}, caption),
      make('thead', {}, make('tr', {}, ...names.map((name) => make('th', { scope: 'col' }, name)))),
      make('tbody', {}, ...rows.map(([first, ...rest]) => make('tr', {}, make('th', { scope: 'row' }, first), ...rest.map((cell) => make('td', {}, cell)))))));

const nothing = (text) => make('p', { class: 'hint' }, text);

const rate = (value) => (value === null || value === undefined ? 'n/a' : `${number(value)}/s`);

const steps = ({ now, head }) => {
  const all = now.tables?.steps ?? [];
  if (!all.length) return nothing('There are no steps: a single request is sent, or nothing runs.');
  const names = ['step', 'requests', 'failed', 'p50', 'p90', 'p99', 'max', ...(head.traced ? ['arrival n', 'arrival p50', 'arrival p99', 'arrival max'] : [])];
  return table('Steps, since the level began', names, all.map((step) => {
    const { response, arrival } = step;
    const first = [step.name, number(step.requests), number(step.failed), time(response.p50_us), time(response.p90_us), time(response.p99_us), time(response.max_us)];
    return head.traced ? [...first, number(arrival.n), time(arrival.p50_us), time(arrival.p99_us), time(arrival.max_us)] : first;
  }));
};

const failures = ({ now }) => {
  const all = now.tables?.failures ?? [];
  if (!all.length) return nothing('Nothing has failed since the level began.');
  return table('Failures, since the level began', ['failure', 'number', 'first answer'], all.map((failure) => [failure.kind, number(failure.count), make('code', {}, failure.answer ?? '')]));
};

const books = ({ now, head }) => {
  const book = now.tables?.books;
  if (!book) return nothing('No level is under way: the report has its books.');
  const rows = [['sent', book.sent], ['accepted', book.accepted], ['failed', book.failed]];
  if (head.traced) {
    rows.push(...book.stages.map(([stage, count]) => [`counted at ${stage}`, count]));
    rows.push(['arrived, duplicates apart', book.arrived], ['in flight', book.in_flight], ['in the queue', book.backlog], ['overdue: not arrived 5 s after the last hop began', book.missing], ['duplicates', book.duplicates], ['stamps that did not fit', book.stamps_dropped]);
  }
  return table('All messages, sampled or not, since the level began', ['what', 'number'], rows.map(([name, value]) => [name, number(value)]));
};

const slowest = ({ now, points }) => {
  const all = now.tables?.slowest ?? [];
  if (!all.length) return nothing('No sampled message has arrived since the level began.');
  return table('The slowest sampled messages, hop by hop, since the level began', ['MsgID', 'at', 'arrival', ...points.hops], all.map((slow) => [slow.id, clock(slow.t), time(slow.arrival_us), ...slow.hops_us.map(time)]));
};

const parts = ({ now }) => {
  if (!now.parts.length) return nothing('No part has been looked at yet.');
  return table('Parts of the pipeline, in the last second', ['part', 'instance', 'version', 'CPU', 'memory', 'clock error', 'last beat'], now.parts.map((part) => [
    part.name, part.instance, part.version ?? '', percent(part.cpu_share), bytes(part.memory_bytes),
    part.clock_error_us === null ? '' : `± ${number(part.clock_error_us)} µs`,
    part.silent_s === null ? '' : `${part.silent_s.toFixed(1)} s ago`,
  ]));
};

const levels = ({ levels: all, head }) => {
  if (!all.length) return nothing('No level has ended yet.');
  const names = ['level', 'setting', 'lasted', 'accepted', 'HTTP p50', 'HTTP p99', ...(head.traced ? ['n', 'arrival p50', 'arrival p90', 'arrival p99', '95 % interval', 'arrival max', 'lost'] : []), 'remarks'];
  return table('Levels that have ended, in the order in which they ran, from the report', names, all.map((level) => {
    const { http, arrival, accepted, lost } = level.tiles;
    const band = arrival.p99_band_us;
    const remarks = [level.unstable && `unstable: ${level.unstable}`, level.generator_limited && `generator-limited: ${level.generator_limited}`, level.interrupted, level.late && `${number(level.late)} late`].filter(Boolean);
    const first = [level.number, level.setting, level.duration_s === null ? 'n/a' : `${level.duration_s.toFixed(1)} s`, rate(accepted), time(http.p50_us), time(http.p99_us)];
    const traced = [number(arrival.n), time(arrival.p50_us), time(arrival.p90_us), time(arrival.p99_us), band ? `${time(band[0])} to ${band[1] === null ? 'unknown' : time(band[1])}` : 'n/a', time(arrival.max_us), number(lost)];
    return [...first, ...(head.traced ? traced : []), remarks.join('; ')];
  }));
};

const log = ({ log: lines }) => {
  if (!lines.length) return nothing('Nothing has happened yet.');
  return table('What happened, the latest first', ['time', 'what'], lines.slice().reverse().map((line) => [clock(line.t), line.text]));
};

const download = ({ head, levels: all }) => {
  const list = make('ul', { class: 'links' });
  const link = (href, text, more) => list.append(make('li', {}, make('a', { href, ...more }, text)));
  if (all.length && head.folder) {
    const at = `api/download/${head.sweep}`;
    link(`${at}/report.html`, 'The report as a page', { target: '_blank', rel: 'noopener' });
    for (const [file, text] of [['report.json', 'The report as JSON'], ['report.tsv', 'The levels as TSV'], ['summary.md', 'The summary'], ['plan.yaml', 'The plan that repeats it']]) link(`${at}/${file}`, text, { download: '' });
  }
  link('api/download/points.tsv', 'The points of the charts as TSV', { download: '' });
  link('api/state', 'All that this page shows, as JSON', { target: '_blank', rel: 'noopener' });
  return make('div', {}, make('p', { class: 'hint' }, head.folder && all.length ? `The report is in ${head.folder}.` : 'There is no report before the first level has ended.'), list);
};

const TABS = [['steps', 'Steps', steps], ['failures', 'Failures', failures], ['books', 'Books', books], ['slowest', 'Slowest', slowest], ['parts', 'Parts', parts], ['levels', 'Levels', levels], ['log', 'Log', log], ['download', 'Download', download]];

export class Tables {
  // More tabs: each has an id, a name, and a function that fills its panel when it is shown.
  constructor(tabs, panels, more) {
    this.tabs = [...TABS, ...more].map(([id, name, fill]) => {
      const tab = make('button', { type: 'button', role: 'tab', id: `tab-${id}`, 'aria-controls': `panel-${id}`, 'aria-selected': 'false', tabindex: '-1' }, name);
      const panel = make('div', { role: 'tabpanel', id: `panel-${id}`, 'aria-labelledby': `tab-${id}`, class: 'panel', hidden: true });
      tab.addEventListener('click', () => this.show(id));
      tabs.append(tab);
      panels.append(panel);
      return { id, name, tab, panel, fill, drawn: '' };
    });
    tabs.addEventListener('keydown', (event) => {
      const at = this.tabs.findIndex(({ tab }) => tab === document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      const next = this.tabs[(to + this.tabs.length) % this.tabs.length];
      this.show(next.id);
      next.tab.focus();
    });
    this.shown = 'levels';
    this.show('levels');
  }

  show(id) {
    this.shown = id;
    for (const one of this.tabs) {
      const is = one.id === id;
      one.tab.setAttribute('aria-selected', String(is));
      one.tab.tabIndex = is ? 0 : -1;
      one.panel.hidden = !is;
    }
    if (this.state) this.draw(this.state);
  }

  draw(state) {
    this.state = state;
    const count = { failures: state.now.tables?.failures.length, levels: state.levels.length, steps: state.now.tables?.steps.length };
    for (const one of this.tabs) put(one.tab, count[one.id] ? `${one.name} ${count[one.id]}` : one.name);
    const one = this.tabs.find(({ id }) => id === this.shown);
    const filled = one.fill(state);
    // A table that has not changed keeps its place and its selection.
    if (!filled || filled.isEqualNode(one.panel.firstChild)) return;
    const scrolled = one.panel.querySelector('.scroll');
    const at = scrolled ? [scrolled.scrollLeft, scrolled.scrollTop, scrolled === document.activeElement] : null;
    one.panel.replaceChildren(filled);
    const now = one.panel.querySelector('.scroll');
    if (at && now) {
      [now.scrollLeft, now.scrollTop] = at;
      if (at[2]) now.focus({ preventScroll: true });
    }
  }
}
