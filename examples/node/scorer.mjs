#!/usr/bin/env node
/**
 * A hop that loses nothing, written for Node.js: reads messages from a Redis stream in a consumer group, stamps each, and puts
 * them on a list.
 *
 *     npm install && node scorer.mjs --redis redis://127.0.0.1:6379 --from stampede:orders --group scorers --to stampede:scored
 *
 * An entry is taken out of the stream in the same transaction in which its message gets on the list. One whose scorer has died
 * before that is pending in the group; scorers take such entries over.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RESP_TYPES, createClient } from 'redis';
import { EnvelopeError, Tracer, envelope } from 'stampede-tracer';

const STAGE = 'scorer';
const BATCH = 64;
const WAIT_MS = 500; // so long a read waits for an entry; a signal is noticed after it
const USAGE = `Usage: scorer.mjs [OPTIONS]

  --redis URL      holds the stream and the list [redis://127.0.0.1:6379]
  --log-store URL  takes the stamps [the same as --redis]
  --from STREAM    its entries have the message in the field "body" [stampede:orders]
  --group NAME     the consumer group; it is made where there is none [scorers]
  --to KEY         [stampede:scored]
  --every N        stamp 1 message in N [100]
  --idle MS        take over what a scorer has held for so long; no batch may take
                   longer [1000]`;

let isStopping = false;

/** The user's own work, here a new field. The other bytes stay as they are, numbers above all: `id` must not change. */
function score(body, id) {
  const open = body.subarray(0, body.lastIndexOf('}'));
  return Buffer.concat([open, Buffer.from(`,"score":${id % 101}}`)]);
}

function stampedAndScored(body, tracer) {
  try {
    const { id, run } = envelope(body);
    tracer.stamp(STAGE, id, run);
    return score(body, id);
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    // What one sender got wrong ends no service: it is counted and passed on unchanged.
    tracer.count('garbage');
    return body;
  }
}

class Scorer {
  #client;
  #options;
  #tracer;
  /** Of this process alone: what is pending under it is held by it. */
  #consumer = `scorer-${process.pid}-${Date.now().toString(36)}`;

  constructor(client, options, tracer) {
    // Messages are bytes as they are, and never text.
    this.#client = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    this.#options = options;
    this.#tracer = tracer;
  }

  async makeGroup() {
    const { from, group } = this.#options;
    try {
      await this.#client.xGroupCreate(from, group, '0', { MKSTREAM: true });
    } catch (error) {
      if (!error.message.startsWith('BUSYGROUP')) throw error;
    }
  }

  async run() {
    let isIdle = true;
    while (!isStopping) {
      try {
        // At the start, and whenever nothing new comes: what a scorer has left behind.
        while (isIdle && (await this.#forward(await this.#takeOver())));
        isIdle = !(await this.#forward(await this.#readNew()));
      } catch (error) {
        // What was under way stays pending in the group, and is taken over.
        console.error(`scorer: ${error.message}: trying again`);
        await sleep(200);
        isIdle = true;
        // A Redis that has begun anew has lost the group, too.
        if (error.message.startsWith('NOGROUP')) await this.makeGroup().catch(() => {});
      }
    }
    const { from, group } = this.#options;
    const { pending } = await this.#client.xPending(from, group);
    // A consumer with entries pending must stay, or they would be lost.
    if (pending === 0) await this.#client.xGroupDelConsumer(from, group, this.#consumer);
  }

  async #takeOver() {
    const { from, group, idle } = this.#options;
    const { messages } = await this.#client.xAutoClaim(from, group, this.#consumer, Number(idle), '0-0', { COUNT: BATCH });
    // An entry that has been deleted is still pending where nobody has acknowledged it.
    return messages.filter((entry) => entry !== null);
  }

  async #readNew() {
    const { from, group } = this.#options;
    const streams = [{ key: from, id: '>' }];
    const read = await this.#client.xReadGroup(group, this.#consumer, streams, { COUNT: BATCH, BLOCK: WAIT_MS });
    return read === null ? [] : read[0].messages;
  }

  /** Stamps and scores messages, and moves them to the list; whether there were any. */
  async #forward(entries) {
    if (entries.length === 0) return false;
    const { from, group, to } = this.#options;
    const ids = entries.map((entry) => entry.id);
    const scored = entries.map((entry) => stampedAndScored(entry.message.body ?? Buffer.alloc(0), this.#tracer));
    await this.#client.multi().lPush(to, scored).xAck(from, group, ids).xDel(from, ids).exec();
    return true;
  }
}

async function main(options) {
  const client = createClient({ url: options.redis, RESP: 2 });
  // The client connects again by itself; what was under way is told to who waits for it.
  client.on('error', () => {});
  await client.connect();
  const tracer = new Tracer(options['log-store'] ?? options.redis, {
    service: 'scorer', stages: [STAGE], every: Number(options.every),
  });
  const scorer = new Scorer(client, options, tracer);
  await scorer.makeGroup();
  console.error(`scorer: messages go from ${options.from} to ${options.to}`);
  await scorer.run();
  await tracer.close();
  await client.close();
}

// Finishes the batch in hand; a second signal ends the process at once.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => (isStopping = true));

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({
  options: {
    redis: text('redis://127.0.0.1:6379'), 'log-store': { type: 'string' }, from: text('stampede:orders'), group: text('scorers'),
    to: text('stampede:scored'), every: text('100'), idle: text('1000'), help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) console.log(USAGE);
else await main(values);
