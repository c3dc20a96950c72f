/** Where a Redis server is, and how to get in. */

import { readFileSync } from 'node:fs';

const FORMS = 'redis://[user:password@]host:port[/db], rediss://… for TLS, or redis+unix:///path[?db=…&user=…&pass=…]';

export class Address {
  /** The address without its secrets, for logs and errors. */
  shown;
  isTls = false;
  /** What `net.connect` and `tls.connect` take. */
  socketOptions;
  username = undefined;
  password = undefined;
  database = 0;

  /**
   * @param {string} url
   * @param {string} [caFile] a file of authorities (PEM) to trust in place of the system's, for rediss
   * @throws {TypeError} when it is no address of a Redis server; the text names no secrets
   */
  constructor(url, caFile) {
    const parsed = parse(url);
    if (parsed.protocol === 'redis+unix:' || parsed.protocol === 'unix:') this.#readUnix(parsed);
    else this.#readTcp(parsed);
    if (!Number.isSafeInteger(this.database) || this.database < 0) throw wrong('the database is a number from 0 up');
    if (caFile !== undefined) {
      if (!this.isTls) throw wrong('a file of authorities is for rediss:// alone');
      this.socketOptions.ca = readFileSync(caFile);
    }
  }

  #readTcp({ protocol, hostname, port, pathname, username, password }) {
    if (protocol !== 'redis:' && protocol !== 'rediss:') throw wrong(`the scheme ${protocol}// is none of Redis's`);
    this.isTls = protocol === 'rediss:';
    // The brackets belong to the URL, and not to an IPv6 address.
    const host = hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1';
    this.socketOptions = { host, port: Number(port || 6379) };
    this.username = decode(username);
    this.password = decode(password);
    if (pathname.length > 1) this.database = Number(pathname.slice(1));
    this.shown = `${protocol}//${hostname || host}:${port || 6379}${pathname === '/' ? '' : pathname}`;
  }

  #readUnix({ pathname, searchParams }) {
    const path = decode(pathname);
    if (path === undefined) throw wrong('the path of the socket is missing');
    this.socketOptions = { path };
    this.username = searchParams.get('user') ?? undefined;
    this.password = searchParams.get('pass') ?? undefined;
    this.database = Number(searchParams.get('db') ?? 0);
    this.shown = `redis+unix://${pathname}`;
  }

  /** What the clock's thread needs of it: data that can be sent there. */
  forThread() {
    const { shown, isTls, socketOptions, username, password } = this;
    return { shown, isTls, socketOptions, username, password };
  }

  /** The options of node-redis for a connection that comes to an end when it breaks: who uses it makes another. */
  clientOptions(connectTimeout) {
    const socket = { ...this.socketOptions, connectTimeout, reconnectStrategy: false };
    if (this.isTls) socket.tls = true;
    return {
      socket,
      username: this.username,
      password: this.password,
      database: this.database,
      RESP: 2,
      disableOfflineQueue: true,
      // Naming the library to the server is one more right that an ACL user would need.
      disableClientInfo: true,
    };
  }
}

function parse(url) {
  try {
    return new URL(url);
  } catch {
    // The error of URL has the whole text in it, and with it the password.
    throw wrong('it is no URL');
  }
}

function decode(text) {
  try {
    return text === '' ? undefined : decodeURIComponent(text);
  } catch {
    throw wrong('a % is followed by no two hexadecimal digits');
  }
}

function wrong(what) {
  return new TypeError(`the address of the log store is wrong: ${what}. Write ${FORMS}`);
}
