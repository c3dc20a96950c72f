import assert from 'node:assert/strict';
import test from 'node:test';
import { Filter, redisNs } from '../src/clock/filter.js';

const MS = 1e6;
const START_US = 1_763_000_000_000_000;

/** A Redis server whose clock drifts by so many ppm, and is set at one moment. */
class Clock {
  constructor(driftPpm, step = { at: Infinity, size: 0 }) {
    Object.assign(this, { driftPpm, step });
  }

  ns(localNs) {
    return localNs + Math.floor(localNs / 1e6) * this.driftPpm + (localNs >= this.step.at ? this.step.size : 0);
  }

  probe(filter, sentNs, there, back) {
    return filter.add(sentNs, sentNs + there + back, START_US + Math.floor(this.ns(sentNs + there) / 1000));
  }

  /** The error of the filter at a local time, and the bound that it states. */
  error(filter, localNs) {
    const { ns, errorNs } = redisNs(filter.line, localNs);
    const told = (filter.originUs - START_US) * 1000 + ns;
    return { error: Math.abs(told - this.ns(localNs)), bound: errorNs };
  }
}

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('one probe gives the middle of its round trip', () => {
  const filter = new Filter();
  filter.add(0, 40_000, 5_000);
  const { ns, errorNs } = redisNs(filter.line, 20_000);
  assert.equal(ns, 500);
  assert(errorNs >= 20_500 && errorNs < 20_600, errorNs);
});

test('the drift is learned', () => {
  for (const driftPpm of [-100, -37, 0, 42, 100]) {
    const [clock, filter] = [new Clock(driftPpm), new Filter()];
    for (let tick = 0; tick < 300; tick += 1) clock.probe(filter, tick * 100 * MS, 15_000, 15_000);
    assert(Math.abs(filter.line.drift * 1e6 - driftPpm) < 0.2, `${driftPpm}: ${filter.line.drift}`);
    assert(filter.line.driftError < 5e-6);
  }
});

test('the bound holds whatever the delays', () => {
  const next = random(1);
  const delay = () => (next() < 0.7 ? 10_000 + 50_000 * next() : next() < 0.7 ? 2 * MS * next() : 80 * MS * next());
  for (let round = 0; round < 100; round += 1) {
    const [clock, filter] = [new Clock(Math.round(200 * next() - 100)), new Filter()];
    let now = 0;
    for (let number = 0; number < 300; number += 1) {
      const [there, back] = [Math.round(delay()), Math.round(delay())];
      assert.equal(clock.probe(filter, now, there, back), undefined);
      for (const moment of [now - 50 * MS, now + there, now + there + back + 100 * MS]) {
        const { error, bound } = clock.error(filter, moment);
        assert(error <= bound, `${error} > ${bound}`);
      }
      now += there + back + Math.round(150 * MS * next());
    }
  }
});

test('a step is found and measured', () => {
  for (const size of [-36e11, -2 * MS, 2 * MS, 36e11]) {
    const [clock, filter] = [new Clock(50, { at: 950 * MS, size }), new Filter()];
    const steps = [];
    for (let tick = 0; tick < 30; tick += 1) {
      const step = clock.probe(filter, tick * 100 * MS, 20_000, 20_000);
      if (step !== undefined) steps.push([tick, step]);
      const { error, bound } = clock.error(filter, tick * 100 * MS + 40_000);
      assert(error <= bound && bound < 100_000, `${error} ${bound}`);
    }
    assert.equal(steps.length, 1);
    assert.equal(steps[0][0], 10);
    assert(Math.abs(steps[0][1].sizeUs - size / 1000) < 200, `${steps[0][1].sizeUs}`);
    assert.equal(filter.steps, 1);
  }
});
