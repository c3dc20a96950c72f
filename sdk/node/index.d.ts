/** The version of this SDK. */
export const VERSION: string;

/** A message is no envelope. The text is fit to be sent to the client that posted it. */
export class EnvelopeError extends Error {}

/** The two fields of a message that tracing needs. */
export interface Envelope {
  /** From `id`, `MsgID`, `msgid` or `msg_id`: an integer from 0 to 2^53 - 1. */
  id: number;
  /** The run that the message belongs to; `adhoc` where it names none. */
  run: string;
}

/**
 * Reads the id and the run of a message, a JSON object. Give the bytes as they came, and send the same bytes on: JSON.parse
 * would round ids above 2^53.
 *
 * @throws {EnvelopeError} when the message is no envelope: count it as `garbage`, and send it on unstamped
 */
export function envelope(body: Uint8Array | string): Envelope;

/** This moment of the local monotonic clock (`process.hrtime.bigint()`), ns: to be given to `stamp` later. */
export function moment(): bigint;

export interface TracerOptions {
  /** The service's name, under which it registers. */
  service: string;
  /** The stages that this process stamps: 1 to 32 characters of `[a-z0-9_-]`, starting with a letter. */
  stages: readonly string[];
  /** Sample 1 message in N: those with `id % N === 0`. It must be the same in all services. Default: 100. */
  every?: number;
  /** The service's version, for people who look at what runs. Default: that of this SDK. */
  version?: string;
  /**
   * `disciplined` (default): event times are Redis time at the event, with a bound of the error. `plain`: Redis `TIME` when the
   * log store takes the stamp counts as the event's time, and nothing bounds the error.
   */
  clock?: 'disciplined' | 'plain';
  /** How long keys live after their last write, seconds. Default: 24 hours. */
  expireSeconds?: number;
  /** Stamps that may wait for the log store; more are dropped, and counted as `dropped.<stage>`. Default: 131072. */
  buffer?: number;
  /** A file of authorities (PEM) to trust in place of the system's, for `rediss://`. */
  caFile?: string;
  /** Takes what goes wrong, in a sentence without secrets. Default: console.warn. */
  onWarning?: (warning: string) => void;
}

/** A moment in Redis time. */
export interface RedisTime {
  /** µs since 1970-01-01 UTC. */
  us: number;
  /** The bound of its error, µs, rounded up. */
  errorUs: number;
}

/**
 * A process's part in tracing: it counts every message, stamps the sampled ones, and brings both to the log store in the
 * background. Whether the log store is there or not, no method waits for it unless it returns a promise, and none throws.
 */
export class Tracer {
  /**
   * Starts writing to the log store, which need not be there yet. It keeps no process alive: await `close` before
   * `process.exit()`, and on SIGTERM.
   *
   * @param url `redis://[user:password@]host:port[/db]`, the same with `rediss://` for TLS, or
   *   `redis+unix:///path[?db=…&user=…&pass=…]`
   * @throws {TypeError | RangeError} when the address or an option is wrong
   */
  constructor(url: string, options: TracerOptions);

  /**
   * Stamps a message at `stage`: counted always, written when sampled.
   *
   * @param run what `envelope` told. Default: `adhoc`
   * @param at when the message passed the stage, from `moment()`. Default: now
   * @throws {RangeError} when the stage, the id or the run is none, and when there are more than 32 stages and counters
   */
  stamp(stage: string, id: number, run?: string, at?: bigint): void;

  /**
   * Adds to a counter that is no stage, such as `garbage`.
   *
   * @throws {RangeError} when the name is none, and when there are more than 32 stages and counters
   */
  count(name: string, by?: number, run?: string): void;

  /** Redis time at this moment; nothing before the clock's first probe, and with plain stamps. */
  now(): RedisTime | undefined;

  /** Stamps that were dropped so far: the buffer was full, or their writing was not confirmed. */
  readonly dropped: number;

  /**
   * Waits until everything that was stamped and counted before, and the process's registration, is in the log store.
   *
   * @param withinMs how long at most, ms. Default: 5000
   * @returns whether it is
   */
  flush(withinMs?: number): Promise<boolean>;

  /**
   * Writes what is left, signs off, and ends. Whatever is stamped later is not written.
   *
   * @param withinMs how long to try, ms. Default: 5000
   * @returns how many stamps the log store is not known to have: dropped ones, and those that still waited
   */
  close(withinMs?: number): Promise<{ unwritten: number }>;
}
