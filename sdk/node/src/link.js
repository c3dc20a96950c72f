/** One connection to the log store. When it breaks it is of no more use: whoever needs one opens another. */

import * as redis from 'redis';

/** How long a connection, and the answer to a command, may take, ms: a stall of two seconds means that Redis is away. */
const PATIENCE_MS = 2000;

/** Answers that say "not me any more", or "not now": another server may have taken over, this one has begun anew, or has no room for the moment. */
const ENDING =
  /^(NOSCRIPT|READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOAUTH|WRONGPASS|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF|BUSY|NOREPLICAS)\b/;

/** Whether an answer was an error that makes the connection useless, though the command has had no effect. */
export function endsConnection(answer) {
  return isRefusal(answer) && ENDING.test(answer.message);
}

/** Whether an answer is an error that the server sent, and no fault of the connection. */
export function isRefusal(answer) {
  return answer instanceof redis.ErrorReply;
}

export class Link {
  #client;
  #isClosed = false;
  /** Ends what is waited for. */
  #abort = () => {};

  /** @param {import('./address.js').Address} address */
  constructor(address) {
    this.#client = redis.createClient(address.clientOptions(PATIENCE_MS));
    // What breaks the connection also fails the commands under way, and is told there.
    this.#client.on('error', () => {});
  }

  /** Connects. Rejects where the log store does not answer, or refuses. */
  async open() {
    await this.#within(this.#client.connect());
    // A server that wants a password says so only when it is asked something.
    const [answer] = await this.run([['PING']]);
    if (answer instanceof Error) throw answer;
    // A process that has nothing else to do is not kept alive by its tracer.
    this.#client.unref();
  }

  /**
   * Sends commands together. Resolves to their answers, those that are errors of the server included; rejects where the
   * connection fails, and nobody knows which of them have been done.
   *
   * @param {string[][]} commands
   */
  async run(commands) {
    const answers = await this.#within(
      Promise.allSettled(commands.map(async (command) => this.#client.sendCommand(command))),
    );
    return answers.map(({ value, reason }) => {
      if (reason === undefined) return value;
      if (isRefusal(reason)) return reason;
      this.close();
      throw reason;
    });
  }

  get isOpen() {
    return !this.#isClosed && this.#client.isReady;
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort(new Error('the connection was closed'));
    // node-redis 4 has another name for it. Both throw where the connection has ended by itself, or never began.
    try {
      if (this.#client.destroy !== undefined) this.#client.destroy();
      else this.#client.disconnect()?.catch(() => {});
    } catch {}
  }

  async #within(answers) {
    let timer;
    const late = new Promise((_, reject) => {
      this.#abort = reject;
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      timer.unref();
    });
    try {
      return await Promise.race([answers, late]);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#abort = () => {};
      clearTimeout(timer);
    }
  }
}
