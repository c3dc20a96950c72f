/**
 * The thread of the disciplined clock: it probes Redis, feeds the filter, and publishes what that tells.
 *
 * A thread of its own: on the event loop of a busy service an answer would wait for its turn, and the round trip would grow
 * from tens of microseconds to milliseconds.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Filter } from './filter.js';
import { ProbeConnection } from './probe.js';
import { SharedState } from './state.js';

/** Probes at the start, one right after the other. */
const BURST = 16;
/** How often the clock is probed after that, for a while: under load it takes some dozen probes until one is quick. */
const EARLY_PERIOD_MS = 10;
const EARLY_PERIODS = 32;
/** How often the clock is probed from then on. */
const PERIOD_MS = 100;
/** Probes each time: the first one warms the way for the second. */
const PROBES_PER_PERIOD = 2;
/** How long an answer may take. */
const PATIENCE_MS = 1000;

const { address, memory, anchor } = workerData;
const shared = new SharedState(memory);
const filter = new Filter();
/** All steps together. */
const stepped = { us: 0, errorUs: 0 };
let looksAgain = false;

parentPort.on('message', (message) => {
  if (message === 'look again') looksAgain = true;
});

async function probe(connection) {
  const { sent, received, redisUs } = await connection.probe();
  const [sentNs, receivedNs] = [Number(sent - anchor), Number(received - anchor)];
  const step = filter.add(sentNs, receivedNs, redisUs);
  if (step !== undefined) {
    stepped.us += step.sizeUs;
    stepped.errorUs += step.errorUs;
    parentPort.postMessage({ warning: `the redis clock was set by ${step.sizeUs} µs` });
  }
}

function publish() {
  shared.write({
    ...filter.line,
    originUs: filter.originUs,
    steps: filter.steps,
    steppedUs: stepped.us,
    steppedErrorUs: stepped.errorUs,
  });
}

async function discipline() {
  let connection;
  let isAway = false;
  let probes = BURST;
  for (let early = EARLY_PERIODS; ; early -= 1) {
    if (looksAgain) {
      looksAgain = false;
      connection?.close();
      connection = undefined;
    }
    try {
      connection ??= await ProbeConnection.open(address, PATIENCE_MS);
      for (let number = 0; number < probes; number += 1) await probe(connection);
      // All together: the first probe of a burst is slow, as its code has never run before.
      publish();
      if (probes === BURST) parentPort.postMessage({ isKnown: true });
      probes = PROBES_PER_PERIOD;
      isAway = false;
    } catch (error) {
      connection?.close();
      connection = undefined;
      if (!isAway) {
        parentPort.postMessage({ warning: `the clock runs on unwatched: redis at ${address.shown}: ${error.message}` });
      }
      isAway = true;
    }
    await sleep(early > 0 ? EARLY_PERIOD_MS : PERIOD_MS);
  }
}

await discipline();
