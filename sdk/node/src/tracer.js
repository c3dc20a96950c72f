/** The tracer: counts every message, stamps the sampled ones, and never makes the message path wait. */

import { randomBytes } from 'node:crypto';
import { Address } from './address.js';
import { Books } from './books.js';
import { RedisClock } from './clock/clock.js';
import { Flusher } from './flusher.js';
import { ADHOC } from './names.js';
import { VERSION } from './version.js';

const DAY_SECONDS = 24 * 60 * 60;

/** How long a process that has not closed its tracers waits at its end for the log store, ms. */
const EXIT_WITHIN_MS = 1000;

/** Tracers that have not been closed. */
const open = new Set();

// Nothing else is left to do: what the log store takes at once is not lost. This comes neither before process.exit() nor before a signal.
process.on('beforeExit', () => {
  for (const tracer of open) tracer.close(EXIT_WITHIN_MS);
});

/** This moment of the local monotonic clock, ns: to be given to `stamp` later. */
export const moment = () => process.hrtime.bigint();

/** A process's part in tracing. index.d.ts describes what each method does. */
export class Tracer {
  #books;
  #clock;
  #flusher;
  #every;
  #isPlain;
  #isAwake = false;
  #closed = undefined;

  constructor(url, options) {
    const settings = settle(url, options);
    this.#every = settings.every;
    this.#isPlain = settings.clock === 'plain';
    this.#books = new Books(settings.buffer);
    for (const stage of settings.stages) this.#books.stage(stage);
    this.#clock = this.#isPlain ? undefined : new RedisClock(settings.address, settings.onWarning);
    this.#flusher = new Flusher(settings, this.#books, this.#clock);
    open.add(this);
  }

  stamp(stage, id, run = ADHOC, at = undefined) {
    if (!Number.isSafeInteger(id) || id < 0) throw new RangeError(idFault(id));
    const slot = this.#books.stage(stage);
    const book = this.#books.open(run);
    // The clock is read only where the reading is used.
    if (id % this.#every === 0) this.#push(book, slot, id, at ?? process.hrtime.bigint());
    book.counts[slot] += 1;
  }

  count(name, by = 1, run = ADHOC) {
    if (!Number.isSafeInteger(by) || by < 0) {
      throw new RangeError(`${by} cannot be added to a counter: it is no whole number from 0 up`);
    }
    this.#books.open(run).counts[this.#books.counter(name)] += by;
  }

  now() {
    const state = this.#clock?.state();
    return state?.at(this.#clock.localNs(process.hrtime.bigint()));
  }

  get dropped() {
    return this.#books.dropped;
  }

  async flush(withinMs = 5000) {
    return within(withinMs, this.#flusher.flushed());
  }

  close(withinMs = 5000) {
    this.#closed ??= this.#close(withinMs);
    return this.#closed;
  }

  async #close(withinMs) {
    open.delete(this);
    await within(withinMs, this.#flusher.flushed({ leaves: true }));
    await this.#flusher.end();
    await this.#clock?.close();
    return { unwritten: this.#books.dropped + this.#books.waiting };
  }

  #push(book, slot, id, at) {
    if (typeof at !== 'bigint') throw new TypeError('the moment of a stamp is what moment() gave');
    this.#books.push(book, slot, id, at);
    // A plain stamp tells the time at which it is written; those of this turn of the event loop go together.
    if (!this.#isPlain || this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#flusher.wake();
    });
  }
}

function idFault(id) {
  if (typeof id !== 'number') return `id ${id} is a ${typeof id}: it is a number, as envelope() gives it`;
  return `id ${id} is out of range: it is an integer from 0 to 2^53 - 1`;
}

function settle(url, options = {}) {
  const { service, stages, every = 100, version = '', clock = 'disciplined', expireSeconds = DAY_SECONDS } = options;
  const { buffer = 131_072, caFile, onWarning = (warning) => console.warn(`stampede: ${warning}`) } = options;
  if (typeof service !== 'string' || !/^[^:]+$/.test(service)) {
    throw new TypeError('service: give the name of the service, without a colon');
  }
  if (!Array.isArray(stages)) throw new TypeError('stages: give the list of the stages that this process stamps');
  if (clock !== 'disciplined' && clock !== 'plain') throw new TypeError(`clock: ${clock} is neither disciplined nor plain`);
  for (const [name, value] of Object.entries({ every, expireSeconds, buffer })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name}: ${value} is no whole number from 1 up`);
  }
  return {
    address: new Address(url, caFile),
    service,
    stages,
    every,
    clock,
    buffer,
    onWarning,
    version: version || VERSION,
    timeToLive: expireSeconds,
    // No other process ever has it, so that its counters can be set to totals.
    instance: `${process.pid}-${randomBytes(8).toString('hex')}`,
  };
}

/** Whether a promise is resolved in time. Its timer keeps the process alive meanwhile. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms, false)));
  const isInTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return isInTime;
}
