#!/usr/bin/env node
/**
 * What the suite that all SDKs share (sdk/conformance) asks of this one. Usage: conformance.mjs PROGRAM [OPTIONS]
 *
 *   hop       moves messages from one list to another, and stamps them
 *   clock     asks for Redis time, and tells the local time around each answer
 *   cost      measures what a stamp costs
 *   envelope  reads messages, one in base64 a line
 *   filter    feeds probes to the clock filter
 */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as redis from 'redis';
import { Tracer, envelope, moment } from './index.js';
import { Filter, redisNs } from './src/clock/filter.js';

const BATCH = 64;
const text = { type: 'string' };
const OPTIONS = {
  redis: text, queue: text, from: text, to: text, stage: text, every: text, clock: text, service: text,
  seconds: text, busy: { type: 'boolean', default: false }, messages: text, rounds: text,
};
const BODY = Buffer.from('{"id":42949672960,"run":"20261121-101500-k3f.c10","data":"' + 'x'.repeat(64) + '"}');

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function hop({ redis: url, queue, from, to, stage, every, clock, service }) {
  const tracer = new Tracer(url, { service, stages: [stage], every: Number(every), clock });
  const client = redis.createClient({ url: queue, RESP: 2 });
  client.on('error', (error) => console.error(`queue: ${error.message}`));
  await client.connect();
  // A log store that does not let it in keeps no message from passing.
  await tracer.flush(2000);
  print({ ready: true });
  let isStopping = false;
  process.once('SIGTERM', () => (isStopping = true));
  let handled = 0;
  while (!isStopping) {
    const popped = await take(client, from);
    for (const body of popped) stampOne(tracer, stage, body);
    if (popped.length > 0) await client.sendCommand(['LPUSH', to, ...popped]);
    handled += popped.length;
  }
  const { unwritten } = await tracer.close();
  await client.quit();
  print({ handled, unwritten });
}

/** The oldest messages, as the bytes that they are. The pop is short: a signal is noticed after it. */
async function take(client, from) {
  const command = ['BLMPOP', '0.2', '1', from, 'RIGHT', 'COUNT', String(BATCH)];
  // node-redis 4 and the later ones ask for bytes in different ways.
  const popped = client.withTypeMapping
    ? await client.withTypeMapping({ [redis.RESP_TYPES.BLOB_STRING]: Buffer }).sendCommand(command)
    : await client.sendCommand(command, { returnBuffers: true });
  return popped === null ? [] : popped[1];
}

function stampOne(tracer, stage, body) {
  try {
    const { id, run } = envelope(body);
    tracer.stamp(stage, id, run);
  } catch (error) {
    if (error.name !== 'EnvelopeError') throw error;
    tracer.count('garbage');
  }
}

async function clock({ redis: url, seconds, busy }) {
  const tracer = new Tracer(url, { service: 'clock', stages: ['clock'] });
  const until = performance.now() + Number(seconds) * 1000;
  while (performance.now() < until) {
    const before = moment();
    const now = tracer.now();
    const after = moment();
    if (now !== undefined) {
      const told = { before_ns: String(before), us: now.us, error_us: now.errorUs, after_ns: String(after) };
      if (!process.stdout.write(`${JSON.stringify(told)}\n`)) await once(process.stdout, 'drain');
    }
    if (busy) work(2);
    await (busy ? new Promise(setImmediate) : sleep(2));
  }
  await tracer.close();
}

/** Keeps the event loop and the garbage collector busy. */
function work(ms) {
  const until = performance.now() + ms;
  let kept = [];
  while (performance.now() < until) {
    kept.push(JSON.parse(BODY.toString()));
    if (kept.length > 1000) kept = [];
  }
}

async function cost({ redis: url, every, messages, rounds }) {
  const tracer = new Tracer(url, { service: 'cost', stages: ['cost'], every: Number(every) });
  while (!(await tracer.flush())) await sleep(10);
  const figures = { without_ns: [], with_ns: [], cpu_without_ns: [], cpu_with_ns: [] };
  // The first round, in which the code is compiled, is not told.
  for (let round = 0; round <= Number(rounds); round += 1) {
    for (const kind of ['without', 'with']) {
      const measured = await load(kind === 'with' ? tracer : undefined, Number(messages));
      if (round === 0) continue;
      figures[`${kind}_ns`].push(measured.wall);
      figures[`cpu_${kind}_ns`].push(measured.cpu);
    }
  }
  await tracer.close();
  print(figures);
}

/** Wall and CPU time per message. The event loop has a turn after each batch, as in a service, so that the tracer can write. */
async function load(tracer, messages) {
  const bodies = Array.from({ length: 1000 }, (_, id) => Buffer.from(BODY.toString().replace('42949672960', String(id))));
  const cpu = process.cpuUsage();
  const begin = moment();
  for (let done = 0; done < messages; ) {
    for (let number = 0; number < BATCH && done < messages; number += 1, done += 1) {
      const { id, run } = envelope(bodies[done % bodies.length]);
      tracer?.stamp('cost', id, run);
    }
    await new Promise(setImmediate);
  }
  const wall = Number(moment() - begin);
  // What was stamped in the measured time is also written in it.
  if (tracer !== undefined) await tracer.flush();
  const { user, system } = process.cpuUsage(cpu);
  return { wall: wall / messages, cpu: ((user + system) * 1000) / messages };
}

async function forEachLine(work) {
  for await (const line of createInterface({ input: process.stdin })) print(work(line));
}

const readEnvelope = (line) => {
  try {
    return envelope(Buffer.from(line, 'base64'));
  } catch (error) {
    return { error: error.message };
  }
};

const runFilter = (line) => {
  const { probes, ask } = JSON.parse(line);
  const filter = new Filter();
  for (const [sentNs, receivedNs, redisUs] of probes) filter.add(sentNs, receivedNs, redisUs);
  const answers = ask.map((localNs) => redisNs(filter.line, localNs)).map(({ ns, errorNs }) => [ns, errorNs]);
  return { steps: filter.steps, answers };
};

const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
const programs = { hop, clock, cost, envelope: () => forEachLine(readEnvelope), filter: () => forEachLine(runFilter) };
const program = programs[positionals[0]];
if (program === undefined) {
  console.error(`conformance.mjs: name one of ${Object.keys(programs).join(', ')}`);
  process.exit(2);
}
await program(values);
