// Past reports: the list, and two of them side by side.

import { make, number } from './format.js';

export class History {
  constructor(ask) {
    this.ask = ask;
    this.list = make('div');
    this.compared = make('div', { class: 'compared', 'aria-live': 'polite' });
    this.place = make('div', {}, this.list, this.compared);
    this.known = null;
    this.chosen = [];
  }

  // The panel of the tab. It is asked for again when another report may be there.
  fill(state) {
    const key = `${state.head.sweep} ${state.levels.length} ${state.head.state === 'done'}`;
    if (this.known !== key) {
      this.known = key;
      this.load();
    }
    return this.place.isConnected ? null : this.place;
  }

  async load() {
    const answer = await this.ask('GET', 'api/reports');
    if (answer.error) {
      this.list.replaceChildren(make('p', { class: 'fault' }, answer.error));
      return;
    }
    const { reports, more } = answer;
    if (!reports.length) {
      this.list.replaceChildren(make('p', { class: 'hint' }, 'There is no report yet.'));
      return;
    }
    const button = make('button', { type: 'button' }, 'Set two side by side');
    button.addEventListener('click', () => this.compare());
    const names = ['compare', 'begun', 'report', 'plan', 'levels', 'thresholds', 'verdict'];
    const rows = reports.map((report) => {
      const box = make('input', { type: 'checkbox', 'aria-label': `compare ${report.name}`, value: report.name });
      box.checked = this.chosen.includes(report.name);
      box.addEventListener('change', () => {
        this.chosen = box.checked ? [...this.chosen, report.name] : this.chosen.filter((name) => name !== report.name);
      });
      const href = `api/download/${encodeURIComponent(report.name)}/report.html`;
      const held = report.thresholds ? (report.missed ? `${report.missed} of ${report.thresholds} missed` : `${report.thresholds} held`) : '';
      const begun = new Date(report.started_unix_s * 1000).toISOString().replace('T', ' ').slice(0, 16);
      return make('tr', {}, make('td', {}, box), make('td', {}, begun), make('th', { scope: 'row' }, make('a', { href, target: '_blank', rel: 'noopener' }, report.name)),
        make('td', {}, report.plan ?? ''), make('td', {}, number(report.levels)), make('td', { class: report.missed ? 'wrong' : '' }, held), make('td', { class: 'words' }, report.verdict ?? ''));
    });
    this.list.replaceChildren(make('p', { class: 'buttons' }, button), make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Past reports' },
      make('table', {}, make('caption', {}, more ? `Past reports, the newest; ${number(more)} more are in the folder` : 'Past reports, the newest first'),
        make('thead', {}, make('tr', {}, ...names.map((name) => make('th', { scope: 'col' }, name)))), make('tbody', {}, ...rows))));
  }

  async compare() {
    if (this.chosen.length !== 2) {
      this.compared.replaceChildren(make('p', { class: 'fault' }, `Choose two reports, and not ${this.chosen.length}.`));
      return;
    }
    // The older one is what the other is compared with.
    const [a, b] = this.chosen.slice().sort();
    const query = `a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`;
    const answer = await this.ask('GET', `api/compare?${query}`);
    if (answer.error) {
      this.compared.replaceChildren(make('p', { class: 'fault' }, answer.error));
      return;
    }
    this.compared.replaceChildren(make('h2', {}, `${a} and ${b}`), ...answer.sentences.map((sentence) => make('p', {}, sentence)),
      make('pre', { tabindex: '0', role: 'region', 'aria-label': 'The comparison as a table' }, answer.table), make('img', { src: `api/compare.svg?${query}`, alt: `Arrival latency and throughput of ${a} and ${b}` }));
  }
}
