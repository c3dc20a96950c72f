import assert from 'node:assert/strict';
import test from 'node:test';
import { Books, RUNS, SLOTS } from '../src/books.js';

function flush(books) {
  const totals = books.changed();
  books.written(totals);
  return totals;
}

const written = (totals, slot) => totals.reduce((sum, { counts }) => sum + counts[slot], 0);

test('what does not fit the buffer is dropped and counted', () => {
  const books = new Books(2);
  const [slot, book] = [books.stage('s'), books.open('r')];
  for (const id of [0, 1, 2]) books.push(book, slot, id, 0n);
  assert.deepEqual([books.waiting, books.dropped, book.dropped[slot]], [2, 1, 1]);
  const marks = books.take();
  books.push(book, slot, 3, 0n);
  // There is room for one of the two that come back, in front of the one that came meanwhile.
  books.putBack(marks);
  assert.deepEqual(books.take().map(({ id }) => id), [0, 3]);
  assert.equal(books.dropped, 2);
});

test('many runs do not fill the memory, and no count is lost', () => {
  const books = new Books(10);
  const slot = books.stage('s');
  let sum = 0;
  for (let number = 0; number < 3 * RUNS; number += 1) {
    books.open(`run-${number}`).counts[slot] += 1;
    if (number % 1000 === 0) sum += written(flush(books), slot);
  }
  sum += written(flush(books), slot);
  assert.equal(sum, 3 * RUNS);
  assert.deepEqual(flush(books), []);
});

test('a run that was forgotten is counted under a new edition, one with stamps on their way is not forgotten', () => {
  let now = 0;
  const books = new Books(10, () => now);
  const slot = books.stage('s');
  const [still, pending] = [books.open('still'), books.open('pending')];
  still.counts[slot] += 1;
  books.push(pending, slot, 0, 0n);
  flush(books);
  now = 700_000;
  flush(books);
  assert.equal(books.open('pending'), pending);
  assert.notEqual(books.open('still').edition, still.edition);
});

test('after a connection was lost all totals are written again', () => {
  const books = new Books(10);
  books.open('r').counts[books.stage('s')] += 1;
  assert.equal(flush(books).length, 1);
  assert.equal(flush(books).length, 0);
  books.writeAllAgain();
  assert.equal(flush(books).length, 1);
});

test('names', () => {
  const books = new Books(10);
  for (const name of ['', 'Caps', '1st', 'counts', 'x'.repeat(33), 'a b', undefined]) {
    assert.throws(() => books.stage(name), RangeError, String(name));
  }
  for (const run of ['', 'a b', 'a:b', 'ä', 'service', 'sweep', 'clock', 'x'.repeat(65), 7]) {
    assert.throws(() => books.open(run), RangeError, String(run));
  }
  for (const name of ['', 'a@b', 'a b']) assert.throws(() => books.counter(name), RangeError, name);
  for (let number = 0; number < SLOTS; number += 1) books.stage(`s${number}`);
  assert.throws(() => books.counter('one-too-many'), /at most 32 stages and counters/);
});
