/** What a process has counted and stamped but not written yet. It knows no connection and no clock but the one that it is given. */

import { checkCounter, checkStage, runFault } from './names.js';

/** Stages and counters that one process can tell apart. */
export const SLOTS = 32;
/** A run that nothing has touched for so long is forgotten. Should it come back, it is counted under a new field. */
const FORGET_AFTER_MS = 600_000;
/**
 * Runs that one process keeps books of. Beyond it, those that have been still for longest are forgotten sooner, so that
 * clients who name a new run in each message cannot fill the memory.
 */
export const RUNS = 4096;

/** One run's totals since this process first saw it. */
class Book {
  counts = new Float64Array(SLOTS);
  dropped = new Float64Array(SLOTS);
  /** What of it the log store has. */
  writtenCounts = new Float64Array(SLOTS);
  writtenDropped = new Float64Array(SLOTS);
  /** Its stamps that wait or are being written. */
  pending = 0;

  constructor(run, edition, touched) {
    this.run = run;
    /** Which of this process's books of this run it is: see FORGET_AFTER_MS. */
    this.edition = edition;
    this.touched = touched;
  }

  get isWritten() {
    return isEqual(this.counts, this.writtenCounts) && isEqual(this.dropped, this.writtenDropped);
  }
}

export class Books {
  /** The stages and the other counters, in the order of their slots: `{ text, isStage }`. */
  names = [];
  /** Stamps that have been dropped, over all runs. */
  dropped = 0;
  #slots = new Map();
  #books = new Map();
  #last = undefined;
  #editions = 0;
  #waiting = [];
  #capacity;
  #now;

  /** @param {number} capacity stamps that may wait; @param {() => number} now ms of a clock that never goes back */
  constructor(capacity, now = () => performance.now()) {
    this.#capacity = capacity;
    this.#now = now;
  }

  /** Stamps that wait. */
  get waiting() {
    return this.#waiting.length;
  }

  /** The slot of a stage. Throws a RangeError for a name that is none, and for more than 32. */
  stage(name) {
    return this.#slots.get(name) ?? this.#newSlot(name, true);
  }

  /** The slot of a counter that is no stage. Throws as for stages. */
  counter(name) {
    return this.#slots.get(name) ?? this.#newSlot(name, false);
  }

  #newSlot(text, isStage) {
    if (isStage) checkStage(text);
    else checkCounter(text);
    if (this.names.length === SLOTS) {
      throw new RangeError(`${text}: one process may use at most ${SLOTS} stages and counters`);
    }
    this.#slots.set(text, this.names.length);
    return this.names.push({ text, isStage }) - 1;
  }

  /** The book of a run, a new one if need be. Throws a RangeError for what is no run id. */
  open(run) {
    // Messages come in long rows of the same run.
    if (this.#last?.run === run) return this.#last;
    let book = this.#books.get(run);
    if (book === undefined) {
      const fault = runFault(run);
      if (fault !== undefined) throw new RangeError(fault);
      book = new Book(run, this.#editions, this.#now());
      this.#books.set(run, book);
      this.#editions += 1;
    }
    this.#last = book;
    return book;
  }

  /** Queues a stamp, or drops and counts it when the buffer is full. */
  push(book, slot, id, at) {
    if (this.#waiting.length >= this.#capacity) {
      this.#drop({ book, slot });
      return;
    }
    book.pending += 1;
    this.#waiting.push({ book, slot, id, at });
  }

  /** Takes every stamp that waits. Each is then to be put back, or confirmed as written, or dropped. */
  take() {
    const marks = this.#waiting;
    this.#waiting = [];
    return marks;
  }

  /** Puts stamps that could not be written back in front, as far as there is room. */
  putBack(marks) {
    const room = Math.max(this.#capacity - this.#waiting.length, 0);
    this.drop(marks.splice(room));
    this.#waiting = marks.concat(this.#waiting);
  }

  /** Counts stamps that were taken, and whose writing was refused or not confirmed, as dropped. */
  drop(marks) {
    for (const mark of marks) this.#drop(mark);
    this.confirm(marks);
  }

  /** Notes that nothing more is to be done about these stamps. */
  confirm(marks) {
    for (const { book } of marks) book.pending -= 1;
  }

  #drop({ book, slot }) {
    book.dropped[slot] += 1;
    this.dropped += 1;
  }

  /** The books whose totals the log store does not have yet, with their totals at this moment. */
  changed() {
    const changed = [];
    for (const book of this.#books.values()) {
      if (book.isWritten) continue;
      book.touched = this.#now();
      changed.push({ book, counts: book.counts.slice(), dropped: book.dropped.slice() });
    }
    return changed;
  }

  /** Another log store may have taken over, or the same one begun anew, without the newest of what was confirmed. */
  writeAllAgain() {
    for (const book of this.#books.values()) {
      book.writtenCounts.fill(0);
      book.writtenDropped.fill(0);
    }
  }

  /** Notes that the log store has these totals, and forgets runs that have long been still. */
  written(totals) {
    for (const { book, counts, dropped } of totals) {
      book.writtenCounts = counts;
      book.writtenDropped = dropped;
    }
    const now = this.#now();
    let tooMany = this.#books.size - RUNS;
    const oldest = tooMany > 0 ? this.#touchedBefore(tooMany) : -Infinity;
    for (const book of this.#books.values()) {
      const crowded = tooMany > 0 && book.touched <= oldest;
      const still = crowded || now - book.touched > FORGET_AFTER_MS;
      if (!still || book.pending > 0 || !book.isWritten) continue;
      this.#books.delete(book.run);
      if (this.#last === book) this.#last = undefined;
      if (crowded) tooMany -= 1;
    }
  }

  /** The moment up to which the given number of runs have been touched last. */
  #touchedBefore(number) {
    const touched = [...this.#books.values()].map((book) => book.touched).sort((a, b) => a - b);
    return touched[number - 1];
  }
}

function isEqual(one, other) {
  for (let slot = 0; slot < SLOTS; slot += 1) if (one[slot] !== other[slot]) return false;
  return true;
}
