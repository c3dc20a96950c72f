/**
 * What the clock knows, in memory that its thread and the main thread share: the main thread can read it at any moment, also
 * when its own event loop has long had no turn.
 */

import { redisNs } from './filter.js';

/** The numbers that are shared, in this order. */
const FIELDS = [
  'originUs', 'atNs', 'offsetNs', 'errorNs', 'drift', 'driftError', 'steps', 'steppedUs', 'steppedErrorUs',
];

/** Shared memory that knows nothing yet. */
export function newSharedState() {
  return new SharedArrayBuffer(8 * (FIELDS.length + 1));
}

/** Both sides of the shared memory: the thread of the clock writes, any thread reads. */
export class SharedState {
  #shared;
  #numbers = new Float64Array(FIELDS.length);
  #bits = new BigInt64Array(this.#numbers.buffer);

  constructor(memory) {
    this.#shared = new BigInt64Array(memory);
  }

  /** Publishes a state. */
  write(state) {
    FIELDS.forEach((field, index) => (this.#numbers[index] = state[field]));
    // The count of writes, first in the memory, is odd while one is under way.
    Atomics.add(this.#shared, 0, 1n);
    this.#bits.forEach((bits, index) => Atomics.store(this.#shared, index + 1, bits));
    Atomics.add(this.#shared, 0, 1n);
  }

  /** The present state; nothing before the first probe. */
  read() {
    for (;;) {
      const before = Atomics.load(this.#shared, 0);
      if (before === 0n) return undefined;
      for (let index = 0; index < FIELDS.length; index += 1) this.#bits[index] = Atomics.load(this.#shared, index + 1);
      // A write takes a microsecond: whoever meets one reads again.
      if ((before & 1n) === 0n && Atomics.load(this.#shared, 0) === before) return new ClockState(this.#numbers);
    }
  }
}

/** What the clock knows at one moment. It converts any number of moments alike, in one time scale. */
export class ClockState {
  constructor(numbers) {
    FIELDS.forEach((field, index) => (this[field] = numbers[index]));
  }

  /** Redis time at a local moment (ns since the clock's anchor), µs since 1970, and the bound of its error, µs, rounded up. */
  at(localNs) {
    const { ns, errorNs } = redisNs(this, localNs);
    // To the nearest microsecond: the filter already allows for TIME being cut.
    return { us: this.originUs + Math.floor((ns + 500) / 1000), errorUs: Math.ceil(Math.max(errorNs, 0) / 1000) };
  }
}
