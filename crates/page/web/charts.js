// The charts: one cursor, one axis of time; levels as shaded bands, what happened as marks.

import { clock, make, number, put, time } from './format.js';

// A canvas does not know the colours of a style sheet: what they are now is worked out once, until they change.
const colours = new Map();
const style = (name) => {
  if (!colours.has(name)) {
    const probe = make('i');
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
};
const ms = (us) => (us === null || us === undefined ? 'n/a' : time(us * 1e3));
const per_second = (value) => (value === null || value === undefined ? 'n/a' : `${number(value)}/s`);
const messages = (value) => (value === null || value === undefined ? 'n/a' : number(Math.round(value)));

// Cells of latencies are told in ms.
const thousandth = (values) => values.map((value) => (value === null ? null : Math.max(value, 1) / 1e3));

const MARKS = { edit: '--mark-edit', fault: '--mark-fault', stall: '--mark-fault', warning: '--mark-fault', restart: '--mark-restart', clock: '--mark-restart', level: '--line' };

// What each chart shows: series by cell, colour, dash and width. The lower in the list, the more in front.
const CHARTS = [
  {
    id: 'gap',
    title: 'The gap: HTTP answer and arrival, p99',
    hint: 'What lies between the two lines is what a load test of the API alone does not see.',
    log: true,
    unit: ms,
    lines: [
      { cell: 'http_p50_us', label: 'HTTP p50', colour: '--c-http', dash: [2, 4], width: 1, ms: true },
      { cell: 'arrival_p50_us', label: 'arrival p50', colour: '--c-arrival', dash: [2, 4], width: 1, ms: true },
      { cell: 'arrival_max_us', label: 'arrival max', colour: '--c-arrival', dash: [6, 4], width: 1, ms: true },
      { cell: 'http_p99_us', label: 'HTTP p99', colour: '--c-http', dash: [10, 4], width: 2, ms: true },
      { cell: 'arrival_p99_us', label: 'arrival p99', colour: '--c-arrival', width: 2, ms: true },
    ],
  },
  {
    id: 'rates',
    title: 'Rates and users',
    unit: per_second,
    lines: [
      { cell: 'asked', label: 'asked', colour: '--faint', dash: [2, 3], width: 2 },
      { cell: 'sent', label: 'sent', colour: '--c-sent', dash: [8, 4], width: 1.5 },
      { cell: 'accepted', label: 'accepted', colour: '--c-http', width: 1.5 },
      { cell: 'arrived', label: 'arrived', colour: '--c-arrived', width: 2.5 },
      { cell: 'failed', label: 'failed', colour: '--c-failed', dash: [4, 2], width: 2 },
      { cell: 'users', label: 'users', colour: '--c-users', dash: [1, 3], width: 1.5, scale: 'users', unit: messages },
    ],
  },
  { id: 'hops', title: 'Where the time goes: mean of each hop', unit: ms, stacked: true, lines: [] },
  {
    id: 'backlog',
    title: 'Backlog and in flight',
    unit: messages,
    lines: [
      { cell: 'in_flight', label: 'in flight', colour: '--c-http', dash: [8, 4], width: 1.5 },
      { cell: 'backlog', label: 'backlog', colour: '--c-arrival', width: 2 },
      { cell: 'missing', label: 'overdue', colour: '--c-failed', dash: [3, 2], width: 2 },
    ],
  },
  { id: 'heat', title: 'How arrival latencies are spread', log: true, unit: ms, heat: true, lines: [] },
];

const HOPS = ['--h1', '--h2', '--h3', '--h4', '--h5', '--h6', '--h7'];
const BINS_PER_DECADE = 8;
const bin_ms = (bin) => 10 ** (1 + bin / BINS_PER_DECADE) / 1e3;
// The most columns that a heat map has.
const COLUMNS = 240;
const TABLE_ROWS = 60;
// From one tick of the axis of time to the next.
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

export class Charts {
  constructor(place) {
    this.place = place;
    this.charts = [];
    this.points = null;
  }

  // What the snapshot says of the columns; the hops may be others than before.
  reset(points) {
    this.points = points;
    const names = points.hops.join();
    if (this.charts.length && this.names === names && this.traced === points.traced) return;
    this.names = names;
    this.traced = points.traced;
    this.build();
  }

  // Again, as after a change of colours.
  build() {
    colours.clear();
    for (const chart of this.charts) chart.plot?.destroy();
    this.watching?.disconnect();
    this.place.replaceChildren();
    const shown = CHARTS.filter((chart) => this.traced || !['hops', 'backlog', 'heat'].includes(chart.id));
    this.charts = shown.map((spec) => this.chart(spec));
    this.watching = new ResizeObserver(() => this.charts.forEach((chart) => this.size(chart)));
    this.charts.forEach((chart) => this.watching.observe(chart.box));
    this.draw();
  }

  chart(spec) {
    const lines = spec.stacked
      ? this.points.hops.map((label, index) => ({ hop: index, label, colour: HOPS[index % HOPS.length], width: 1 })).reverse()
      : spec.lines.filter((line) => this.traced || !/arriv|backlog|in_flight|missing/.test(line.cell));
    const box = make('div', { class: 'plot' });
    const twin = make('div', { class: 'twin scroll', hidden: true, tabindex: '0', role: 'region', 'aria-label': `${spec.title}, as a table` });
    const button = make('button', { type: 'button', 'aria-expanded': 'false' }, 'Show as table');
    const note = make('p', { class: 'mark-note' });
    const title = !this.traced && spec.id === 'gap' ? 'HTTP response times' : spec.title;
    const figure = make('figure', { id: `chart-${spec.id}`, class: spec.id === 'gap' ? 'chart wide' : 'chart', tabindex: '0', role: 'figure', 'aria-label': title },
      make('figcaption', {}, make('h2', {}, title), button), box, note, twin);
    const chart = { spec, lines, box, twin, figure, note, title, plot: null };
    button.addEventListener('click', () => {
      twin.hidden = !twin.hidden;
      button.setAttribute('aria-expanded', String(!twin.hidden));
      put(button, twin.hidden ? 'Show as table' : 'Hide the table');
      this.table(chart);
    });
    figure.addEventListener('keydown', (event) => this.key(event));
    this.place.append(figure);
    chart.plot = new uPlot(this.options(chart), this.data(chart), box);
    return chart;
  }

  options(chart) {
    const { spec, lines } = chart;
    const [ink, grid] = [style('--faint'), style('--faint-line')];
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = (more) => ({ stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, ...more });
    const labels = (unit) => (_, values) => values.map((value) => (value === null ? '' : spec.log && !/^[125]/.test(Number(value).toExponential()) ? '' : unit(value).replace('.00', '')));
    const of_line = (line) => {
      const value = line.hop === undefined ? (_, seen) => (line.unit ?? spec.unit)(seen) : (_, __, ___, at) => ms(at === null ? null : this.own_hop(line.hop, at));
      return {
        label: line.label,
        scale: line.scale ?? 'y',
        stroke: style(line.colour),
        width: line.width,
        dash: line.dash,
        fill: line.hop === undefined ? undefined : style(line.colour),
        points: { show: false },
        value,
      };
    };
    const has_users = lines.some((line) => line.scale === 'users');
    // A log axis needs room between its ends, and ends above zero.
    const log = (_, low, high) => [10 ** Math.floor(Math.log10(Math.max(low ?? 0.1, 1e-3))), 10 ** Math.ceil(Math.log10(Math.max(high ?? 1, 2e-3) * 1.01))];
    const linear = (_, __, high) => [0, Math.max(high ?? 1, 1e-3) * 1.08];
    const whole = (_, __, high) => [0, Math.max((high ?? 1) * 1.08, 4)];
    return {
      width: 400,
      height: spec.id === 'gap' ? 250 : 190,
      cursor: { sync: { key: 'stampede' }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { show: true, live: true, markers: { width: 2, dash: (_, index) => (lines[index - 1]?.dash ? (lines[index - 1].dash[0] < 4 ? 'dotted' : 'dashed') : 'solid') } },
      scales: {
        x: { time: false, range: (_, low, high) => [low ?? 0, Math.max(high ?? 10, (low ?? 0) + 10)] },
        y: spec.log ? { distr: 3, range: spec.heat ? () => this.heat_range() : log } : { range: spec.id === 'hops' ? linear : whole },
        users: { range: whole },
      },
      axes: [
        axis({ values: (_, values) => values.map(clock), size: 24, space: 60, incrs: SECONDS }),
        axis({ scale: 'y', values: labels(spec.unit), size: 66 }),
        ...(has_users ? [axis({ scale: 'users', side: 1, values: (_, values) => values.map(messages), size: 48, grid: { show: false } })] : []),
      ],
      series: [{ label: 'time', value: (_, seen) => (seen === null || seen === undefined ? '' : clock(seen)) }, ...(spec.heat ? [{ label: 'arrival n', scale: 'y', stroke: 'transparent', points: { show: false }, value: (_, __, ___, at) => messages(at === null ? null : this.points.columns.arrival_n[at]) }] : lines.map(of_line))],
      hooks: {
        drawClear: [(plot) => this.bands(plot)],
        drawSeries: spec.heat ? [(plot, index) => index === 1 && this.heat(plot)] : [],
        draw: [(plot) => this.draw_marks(plot), (plot) => this.newest_in_legend(plot)],
        setCursor: [(plot) => this.tell_mark(chart, plot)],
      },
    };
  }

  data(chart) {
    const { t, columns, hops_columns: hops } = this.points;
    if (chart.spec.heat) return [t, t.map(() => null)];
    if (!chart.spec.stacked) return [t, ...chart.lines.map((line) => (line.ms ? thousandth(columns[line.cell]) : columns[line.cell]))];
    // Each is drawn from zero on, the whole first.
    const sums = [];
    let below = t.map(() => 0);
    for (let hop = 0; hop < hops.length; hop += 1) {
      below = t.map((_, at) => (hops[hop][at] === null || below[at] === null ? null : below[at] + Math.max(hops[hop][at], 0) / 1e3));
      sums.unshift(below);
    }
    return [t, ...sums];
  }

  own_hop(hop, at) {
    const value = this.points.hops_columns[hop][at];
    return value === null || value === undefined ? null : value / 1e3;
  }

  draw() {
    for (const chart of this.charts) {
      chart.plot.setData(this.data(chart));
      chart.figure.setAttribute('aria-label', `${chart.title}. ${this.newest(chart)}`);
      if (!chart.twin.hidden) this.table(chart);
    }
  }

  // Without a cursor the legend has the newest values.
  newest_in_legend(plot) {
    if ((plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: this.last() });
  }

  // The newest point.
  last() {
    return this.points.t.length ? this.points.t.length - 1 : null;
  }

  // The newest values, as the name of the figure.
  newest(chart) {
    const last = this.last();
    if (last === null) return 'No values yet.';
    if (chart.spec.heat) return `${messages(this.points.columns.arrival_n[last])} samples in the last second.`;
    return chart.lines.map((line) => `${line.label} ${this.value(chart, line, last)}`).join(', ');
  }

  value(chart, line, at) {
    if (line.hop !== undefined) return ms(this.own_hop(line.hop, at));
    const value = this.points.columns[line.cell][at];
    return (line.unit ?? chart.spec.unit)(line.ms && value !== null ? value / 1e3 : value);
  }

  table(chart) {
    const { t, columns } = this.points;
    const rows = [];
    for (let at = t.length - 1; at >= 0 && rows.length < TABLE_ROWS; at -= 1) {
      if (columns.level[at] === null) continue;
      const cells = chart.spec.heat ? [messages(columns.arrival_n[at]), ms(columns.arrival_p50_us[at] === null ? null : columns.arrival_p50_us[at] / 1e3), ms(columns.arrival_max_us[at] === null ? null : columns.arrival_max_us[at] / 1e3)] : chart.lines.map((line) => this.value(chart, line, at));
      rows.push(make('tr', {}, make('th', { scope: 'row' }, clock(t[at])), ...cells.map((cell) => make('td', {}, cell))));
    }
    const names = chart.spec.heat ? ['n', 'p50', 'max'] : chart.lines.map((line) => line.label);
    chart.twin.replaceChildren(make('table', {}, make('thead', {}, make('tr', {}, ...['time', ...names].map((name) => make('th', { scope: 'col' }, name)))), make('tbody', {}, ...rows)));
  }

  size(chart) {
    const width = Math.floor(chart.box.clientWidth);
    if (width > 0 && width !== chart.plot.width) chart.plot.setSize({ width, height: chart.plot.height });
  }

  // Every other level is shaded.
  bands(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = style('--band');
    for (const [level, from, to] of this.spans()) {
      if (level % 2) continue;
      const [left, right] = [from, to].map((at) => Math.min(Math.max(plot.valToPos(at, 'x', true), bbox.left), bbox.left + bbox.width));
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  spans() {
    const spans = [];
    const { t, columns } = this.points;
    t.forEach((at, index) => {
      const level = columns.level[index];
      const last = spans[spans.length - 1];
      if (level === null) return;
      if (last && last[0] === level) last[2] = at;
      else spans.push([level, at - 1, at]);
    });
    return spans;
  }

  draw_marks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const mark of this.points.marks) {
      const x = plot.valToPos(mark.t, 'x', true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = style(MARKS[mark.kind] ?? '--faint');
      ctx.lineWidth = mark.kind === 'level' ? 1 : 1.5;
      ctx.setLineDash(mark.kind === 'level' ? [2, 2] : []);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (mark.kind === 'level') continue;
      ctx.beginPath();
      ctx.moveTo(x - 5, bbox.top);
      ctx.lineTo(x + 5, bbox.top);
      ctx.lineTo(x, bbox.top + 7);
      ctx.fill();
    }
    ctx.restore();
  }

  // The mark under the cursor, in words.
  tell_mark(chart, plot) {
    const { left } = plot.cursor;
    const near = left < 0 ? [] : this.points.marks.filter((mark) => Math.abs(plot.valToPos(mark.t, 'x') - left) < 8);
    put(chart.note, near.map((mark) => `${clock(mark.t)} ${mark.text}`).join(' · '));
  }

  heat_range() {
    let [least, most] = [Infinity, 0];
    for (const bins of this.points.heat) for (const [bin] of bins) [least, most] = [Math.min(least, bin), Math.max(most, bin)];
    return most ? [bin_ms(Math.max(least - 1, 0)), bin_ms(most + 2)] : [0.01, 10];
  }

  // Dark where many are: neighbours share a column where there are more seconds than pixels worth it.
  heat(plot) {
    const { t, heat, columns } = this.points;
    const size = Math.max(1, Math.ceil(t.length / COLUMNS));
    const { ctx } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    ctx.fillStyle = style('--c-heat');
    for (let at = 0; at < t.length; at += size) {
      const sums = new Map();
      let all = 0;
      const end = Math.min(at + size, t.length);
      for (let index = at; index < end; index += 1) {
        if (columns.level[index] === null) continue;
        for (const [bin, count] of heat[index]) {
          sums.set(bin, (sums.get(bin) ?? 0) + count);
          all += count;
        }
      }
      if (!all) continue;
      const right = plot.valToPos(t[end - 1], 'x', true);
      const left = plot.valToPos(at ? Math.max(t[at - 1], t[at] - 1.5 * this.points.step) : t[0] - this.points.step, 'x', true);
      for (const [bin, count] of sums) {
        const [top, bottom] = [plot.valToPos(bin_ms(bin + 1), 'y', true), plot.valToPos(bin_ms(bin), 'y', true)];
        ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(count / all);
        ctx.fillRect(left, top, Math.max(right - left, 1), bottom - top);
      }
    }
    ctx.restore();
  }

  // Arrow keys move the cursor of all charts; its figures are in the legend.
  key(event) {
    const { t } = this.points;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.target.tagName === 'BUTTON' || !t.length || (step === undefined && !['Home', 'End', 'Escape'].includes(event.key))) return;
    event.preventDefault();
    const now = this.charts[0].plot.cursor.idx ?? t.length - 1;
    let at = event.key === 'Home' ? 0 : event.key === 'End' ? t.length - 1 : Math.min(Math.max(now + (step ?? 0), 0), t.length - 1);
    for (const { plot } of this.charts) {
      if (event.key === 'Escape') plot.setCursor({ left: -10, top: -10 });
      else plot.setCursor({ left: plot.valToPos(t[at], 'x'), top: plot.over.clientHeight / 2 });
    }
  }
}
