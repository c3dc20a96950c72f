#!/usr/bin/env node
/**
 * An extra hop, written for Node.js: moves messages from one Redis list to another and stamps each on its way.
 *
 *     npm install && node enricher.mjs --redis redis://127.0.0.1:6379 --from stampede:queue --to stampede:enriched
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RESP_TYPES, createClient } from 'redis';
import { EnvelopeError, Tracer, envelope } from 'stampede-tracer';

const STAGE = 'enricher';
const BATCH = 64; // A pop for each message would cost a round trip for each, and cap the whole pipeline.
const WAIT = 0.5; // seconds that a pop waits for a message; a signal is noticed after it
const USAGE = `Usage: enricher.mjs [OPTIONS]

  --redis URL      holds the queues [redis://127.0.0.1:6379]
  --log-store URL  takes the stamps [the same as --redis]
  --from KEY       [stampede:queue]
  --to KEY         [stampede:enriched]
  --every N        stamp 1 message in N [100]`;

let isStopping = false;

/** The user's own work, here a new field. The other bytes stay as they are, numbers above all: `id` must not change. */
function enrich(body) {
  const open = body.subarray(0, body.lastIndexOf('}'));
  return Buffer.concat([open, Buffer.from(',"enriched":true}')]);
}

function stampedAndEnriched(body, tracer) {
  try {
    const { id, run } = envelope(body);
    tracer.stamp(STAGE, id, run);
    return enrich(body);
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    // What one sender got wrong ends no service: it is counted and passed on unchanged.
    tracer.count('garbage');
    return body;
  }
}

/**
 * While Redis is away, commands are tried again for as long as it takes. A connection that breaks in the middle may lose what a
 * pop had taken, or forward a batch twice; the sweep counts either, as `lost` and as `duplicates`.
 */
async function untilDone(command) {
  for (;;) {
    try {
      return await command();
    } catch (error) {
      console.error(`enricher: ${error.message}: trying again`);
      await sleep(200);
    }
  }
}

async function main(options) {
  const client = createClient({ url: options.redis });
  // The client connects again by itself; what was under way is told to who waits for it.
  client.on('error', () => {});
  await client.connect();
  const queue = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }); // Bytes as they are, and never text.
  const tracer = new Tracer(options['log-store'] ?? options.redis, {
    service: 'enricher', stages: [STAGE], every: Number(options.every),
  });
  console.error(`enricher: messages go from ${options.from} to ${options.to}`);
  while (!isStopping) {
    // The oldest message is at the right end, and must leave first.
    const popped = await untilDone(() => queue.blmPop(WAIT, options.from, 'RIGHT', { COUNT: BATCH }));
    if (popped === null) continue;
    // Stamped before it is forwarded: the next service may have a message before this one hears that Redis took it.
    const enriched = popped[1].map((body) => stampedAndEnriched(body, tracer));
    await untilDone(() => queue.lPush(options.to, enriched));
  }
  await tracer.close();
  await client.close();
}

// Finishes the batch in hand; a second signal ends the process at once.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => (isStopping = true));

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    redis: text('redis://127.0.0.1:6379'), 'log-store': { type: 'string' }, from: text('stampede:queue'),
    to: text('stampede:enriched'), every: text('100'), help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) console.log(USAGE);
else await main(values);
