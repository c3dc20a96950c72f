/**
 * A connection that asks Redis for `TIME` and nothing else.
 *
 * The Redis client would do, but its queues and parser stand between the two readings of the local clock, and every
 * microsecond there widens the bound of the error. Two commands, AUTH and TIME, need no client.
 */

import net from 'node:net';
import tls from 'node:tls';

const TIME = Buffer.from('*1\r\n$4\r\nTIME\r\n');
const TIME_ANSWER = /^\*2\r\n\$\d+\r\n(\d+)\r\n\$\d+\r\n(\d+)\r\n/;

export class ProbeConnection {
  #socket;
  #answer = '';
  /** Who waits for the present answer. */
  #waiting = undefined;
  #patienceMs;

  constructor(socket, patienceMs) {
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    socket.on('data', (chunk) => {
      const received = process.hrtime.bigint();
      this.#answer += chunk.latin1Slice();
      this.#waiting?.take(this.#answer, received);
    });
    socket.on('error', (error) => this.#waiting?.fail(error));
    socket.on('close', () => this.#waiting?.fail(new Error('the connection was closed')));
  }

  /** Connects and proves who it is. Rejects where Redis does not answer within the patience, or refuses. */
  static async open(address, patienceMs) {
    const { username, password, socketOptions } = address;
    const options = { ...socketOptions, noDelay: true };
    const socket = address.isTls ? tls.connect(options) : net.connect(options);
    const connection = new ProbeConnection(socket, patienceMs);
    try {
      await connection.#wait((settle) => socket.once(address.isTls ? 'secureConnect' : 'connect', settle));
      if (password !== undefined) await connection.#authenticate(username, password);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  close() {
    this.#socket.destroy();
  }

  /** One reading of Redis `TIME`, µs since 1970, between two of the local clock. */
  async probe() {
    let sent;
    const { found, received } = await this.#ask(TIME, TIME_ANSWER, () => (sent = process.hrtime.bigint()));
    return { sent, received, redisUs: Number(found[1]) * 1_000_000 + Number(found[2]) };
  }

  async #authenticate(username, password) {
    const words = username === undefined ? ['AUTH', password] : ['AUTH', username, password];
    const command = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    await this.#ask(Buffer.from(`*${words.length}\r\n${command}`), /^\+OK\r\n/, () => {});
  }

  #ask(command, expected, beforeSending) {
    this.#answer = '';
    return this.#wait((settle, fail) => {
      this.#waiting.take = (answer, received) => {
        const found = expected.exec(answer);
        if (found !== null) settle({ found, received });
        else if (answer.startsWith('-') && answer.endsWith('\r\n')) fail(new Error(answer.slice(1).trim()));
      };
      beforeSending();
      this.#socket.write(command);
    });
  }

  /** Waits for what `start` begins, until the connection ends or the patience does. */
  #wait(start) {
    return new Promise((resolve, reject) => {
      const end = (then, value) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        then(value);
      };
      const fail = (error) => end(reject, error);
      const timer = setTimeout(() => fail(new Error(`no answer within ${this.#patienceMs} ms`)), this.#patienceMs);
      this.#waiting = { take: () => {}, fail };
      start((value) => end(resolve, value), fail);
    });
  }
}
