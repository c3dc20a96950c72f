/** The disciplined clock: Redis time for any moment of this process, with the bound of its error (docs/method.md). */

import { Worker } from 'node:worker_threads';
import { SharedState, newSharedState } from './state.js';

export class RedisClock {
  /** Resolves once the clock is known. */
  known;
  #anchor = process.hrtime.bigint();
  #shared;
  #thread;

  /**
   * Starts probing a Redis server, which need not be there yet. The thread keeps no process alive.
   *
   * @param {import('../address.js').Address} address
   * @param {(warning: string) => void} warn
   */
  constructor(address, warn) {
    const memory = newSharedState();
    this.#shared = new SharedState(memory);
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), {
      name: 'stampede clock',
      workerData: { address: address.forThread(), memory, anchor: this.#anchor },
      // Options such as --test or --eval are the main thread's alone.
      execArgv: [],
      // It needs little, and is not to grow.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    });
    this.known = new Promise((resolve) => {
      this.#thread.on('message', ({ isKnown, warning }) => {
        if (isKnown) resolve();
        else warn(warning);
      });
    });
    this.#thread.on('error', (error) => warn(`the clock has ended, and stamps will be plain: ${error.message}`));
    this.#thread.unref();
  }

  /** What the clock knows now; nothing before the first probe. */
  state() {
    return this.#shared.read();
  }

  /** A moment of `process.hrtime.bigint()` as ns since the clock's anchor: small enough for a number to be exact. */
  localNs(moment) {
    return Number(moment - this.#anchor);
  }

  /** Looks the server's address up again before the next probe: another one may have taken over, with a clock of its own. */
  lookAgain() {
    this.#thread.postMessage('look again');
  }

  async close() {
    await this.#thread.terminate();
  }
}
