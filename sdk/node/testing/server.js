/** A private Redis server for a test, on a socket in a folder of its own: no port can be taken. */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Address } from '../src/address.js';
import { Link, isRefusal } from '../src/link.js';

const PATIENCE_MS = 10_000;

export class Server {
  #process = undefined;
  #folder;
  #options;

  constructor(folder, options) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Starts one; it ends with the test. */
  static async start(test, options = []) {
    const server = new Server(await mkdtemp(path.join(os.tmpdir(), 'stampede-')), options);
    test.after(async () => {
      await server.stop();
      await rm(server.#folder, { recursive: true });
    });
    await server.restart();
    return server;
  }

  get url() {
    return `redis+unix://${this.#folder}/redis.sock`;
  }

  /** Starts the server again, with nothing in it. */
  async restart() {
    const options = ['--port', '0', '--unixsocket', 'redis.sock', '--save', '', '--appendonly', 'no', ...this.#options];
    this.#process = spawn('redis-server', options, { cwd: this.#folder, stdio: 'ignore' });
    // One that wants a password is there, too.
    await until(() => this.ask('PING').then(() => true, isRefusal));
  }

  async stop(signal = 'SIGTERM') {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill(signal);
    await ended;
  }

  signal(signal) {
    this.#process.kill(signal);
  }

  /** The answer to one command, by a connection of its own. */
  async ask(...command) {
    const link = new Link(new Address(this.url));
    try {
      await link.open();
      const [answer] = await link.run([command]);
      return answer;
    } finally {
      link.close();
    }
  }

  /** The stamps of a stage in a run. */
  async stamps(stage, run = 'adhoc') {
    const entries = await this.ask('LRANGE', `trace:${run}:${stage}`, '0', '-1');
    return entries.map((entry) => JSON.parse(entry));
  }

  /** The counters of a run, summed over the writers. */
  async counts(run = 'adhoc') {
    const fields = await this.ask('HGETALL', `trace:${run}:counts`);
    const counts = {};
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at].split('@')[0];
      counts[name] = (counts[name] ?? 0) + Number(fields[at + 1]);
    }
    return counts;
  }
}

/** Waits until the condition holds, and fails where it does not within 10 s. */
export async function until(condition) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${condition}`);
    await sleep(5);
  }
}
