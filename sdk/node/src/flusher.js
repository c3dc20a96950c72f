/** Writes stamps, counts and beats to the log store: one flush is under way at a time. */

import { BEAT_EVERY_MS, beatClock, beatCommands, beatKey } from './beat.js';
import { Link, endsConnection, isRefusal } from './link.js';
import { PLACE, Scale } from './scale.js';
import { STAMP, stampCommand } from './script.js';

/**
 * How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps
 * may gather. Plain stamps are written at once.
 */
const PERIOD_MS = 100;
/** Stamps per call of the script: Redis serves nobody else while it runs. */
const STAMPS_PER_CALL = 64;
/** How long the first flush waits for the clock: stamps from before it is known can then be told in Redis time, too. */
const CLOCK_WITHIN_MS = 2000;
const [SHORTEST_BACKOFF_MS, LONGEST_BACKOFF_MS] = [50, 2000];

export class Flusher {
  #settings;
  #books;
  #clock;
  #warn;
  #scale = new Scale();
  #link = undefined;
  #backoffMs = 0;
  #beatAt = -Infinity;
  /** Who waits for a flush that begins after they asked. */
  #asked = [];
  #wakeUp = () => {};
  #isEnding = false;
  #ended;

  constructor(settings, books, clock) {
    this.#settings = settings;
    this.#books = books;
    this.#clock = clock;
    this.#warn = settings.onWarning;
    this.#ended = this.#run().catch((error) => this.#warn(`nothing is written any more: ${error.stack}`));
  }

  /** Writes at once instead of at the end of the period. */
  wake() {
    this.#wakeUp();
  }

  /**
   * Resolves once everything that was stamped and counted before is in the log store, and where it leaves, the process has
   * signed off after it.
   */
  flushed({ leaves = false } = {}) {
    return new Promise((resolve) => {
      this.#asked.push({ resolve, leaves });
      this.#wakeUp();
    });
  }

  /** Ends. What has not been written by then is not written any more. */
  async end() {
    this.#isEnding = true;
    this.#link?.close();
    this.#wakeUp();
    await this.#ended;
  }

  async #run() {
    if (this.#clock !== undefined) await Promise.race([this.#clock.known, this.#sleep(CLOCK_WITHIN_MS, { wakes: false })]);
    while (!this.#isEnding) {
      const asked = this.#asked;
      this.#asked = [];
      if (await this.#flush()) {
        const leaves = asked.some((request) => request.leaves);
        if (leaves) await this.#takeLeave();
        for (const { resolve } of asked) resolve();
        if (leaves) return;
        if (this.#asked.length === 0 && !this.#isEnding) await this.#sleep(PERIOD_MS);
      } else {
        this.#asked = asked.concat(this.#asked);
        this.#backoffMs = Math.min(Math.max(this.#backoffMs * 2, SHORTEST_BACKOFF_MS), LONGEST_BACKOFF_MS);
        // Stamps keep gathering meanwhile, and who asked keeps waiting.
        await this.#sleep(this.#backoffMs, { wakes: false });
      }
    }
  }

  /** Takes the process out of the registry. The beat would expire by itself, too. */
  async #takeLeave() {
    await this.#link?.run([['DEL', beatKey(this.#settings)]]).catch(() => {});
  }

  #sleep(ms, { wakes = true } = {}) {
    if (this.#isEnding) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wakeUp = () => {
        if (!wakes && !this.#isEnding) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Writes what has gathered; false when the log store is away. */
  async #flush() {
    // Both are taken in the same turn of the event loop: a message that is counted has its stamp among these or before.
    const totals = this.#books.changed();
    const marks = this.#books.take();
    const isBeatDue = performance.now() >= this.#beatAt;
    if (totals.length === 0 && marks.length === 0 && !isBeatDue) return true;
    try {
      await this.#connect();
    } catch (error) {
      this.#books.putBack(marks);
      return this.#failed(error);
    }
    try {
      await this.#write(marks, totals, isBeatDue);
    } catch (error) {
      this.#link.close();
      return this.#failed(error);
    }
    this.#books.written(totals);
    if (this.#backoffMs > 0) this.#warn(`the log store at ${this.#settings.address.shown} is back`);
    this.#backoffMs = 0;
    return true;
  }

  #failed(error) {
    const { shown } = this.#settings.address;
    // Told once, and not at each further attempt.
    if (this.#backoffMs === 0) this.#warn(`stamps and counts wait: redis at ${shown}: ${error.message || error.code}`);
    return false;
  }

  async #connect() {
    if (this.#link?.isOpen) return;
    const link = new Link(this.#settings.address);
    this.#link = link;
    await link.open();
    // Loaded, and called by their hashes: a user of the log store may well have the right to EVALSHA, and none to EVAL.
    const refusal = (await link.run([STAMP, PLACE].map((script) => ['SCRIPT', 'LOAD', script]))).find(isRefusal);
    if (refusal !== undefined) {
      link.close();
      throw refusal;
    }
    this.#books.writeAllAgain();
  }

  /** Writes stamps in several calls, counts and the beat with the last of them: who finds a message counted finds it stamped. */
  async #write(marks, totals, isBeatDue) {
    const { timeToLive } = this.#settings;
    // One state of the clock for the whole flush: all its event times are told in one time scale.
    const state = this.#clock?.state();
    const told = state && ((moment) => state.at(this.#clock.localNs(moment)));
    let scale = 0;
    try {
      if (state) scale = await this.#scale.number(state, isBeatDue, this.#link, timeToLive);
    } catch (error) {
      this.#books.putBack(marks);
      throw error;
    }
    let from = 0;
    do {
      const batch = marks.slice(from, from + STAMPS_PER_CALL);
      from += batch.length;
      const commands = [];
      if (batch.length > 0) {
        commands.push(stampCommand(batch, this.#books.names, told, scale, timeToLive));
      }
      if (from === marks.length) {
        commands.push(...this.#countCommands(totals));
        if (isBeatDue) {
          const clock = state && beatClock(state, told(process.hrtime.bigint()));
          commands.push(...beatCommands(this.#settings, this.#books.names, clock));
        }
      }
      await this.#runBatch(commands, batch, marks, from);
    } while (from < marks.length);
    if (isBeatDue) this.#beatAt = performance.now() + BEAT_EVERY_MS;
  }

  /** Has one batch written. Throws where the connection is of no more use; then each stamp has its place in the books again. */
  async #runBatch(commands, batch, marks, from) {
    let answers;
    try {
      answers = await this.#link.run(commands);
    } catch (error) {
      // Whether Redis has these stamps is unknown. Writing them again could make two stamps of one, which would look like a
      // duplicate message; so they are counted as dropped.
      this.#books.drop(batch);
      this.#books.putBack(marks.slice(from));
      throw error;
    }
    const stamped = batch.length > 0 ? answers[0] : undefined;
    const ending = answers.find(endsConnection);
    // These stamps have not been written: they wait for the next connection, which loads the script.
    if (endsConnection(stamped)) from -= batch.length;
    else if (stamped instanceof Error) this.#books.drop(batch);
    else this.#books.confirm(batch);
    if (ending !== undefined) {
      // Another server may have taken over.
      this.#clock?.lookAgain();
      this.#books.putBack(marks.slice(from));
      throw ending;
    }
    // A key of the wrong type, which anybody can make, is to spoil nothing but its own run.
    for (const answer of answers) {
      if (answer instanceof Error) this.#warn(`not all stamps and counts could be written: ${answer.message}`);
    }
  }

  /** Sets this process's own fields to its totals: unlike an increment, that may be repeated without harm. */
  #countCommands(totals) {
    const { instance, timeToLive } = this.#settings;
    return totals.flatMap(({ book, counts, dropped }) => {
      const key = `trace:${book.run}:counts`;
      const writer = `${instance}.${book.edition}`;
      const fields = this.#books.names.flatMap(({ text }, slot) => [
        ...(counts[slot] > 0 ? [`${text}@${writer}`, String(counts[slot])] : []),
        ...(dropped[slot] > 0 ? [`dropped.${text}@${writer}`, String(dropped[slot])] : []),
      ]);
      return [['HSET', key, ...fields], ['EXPIRE', key, String(timeToLive)]];
    });
  }
}
