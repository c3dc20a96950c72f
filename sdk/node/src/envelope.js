/**
 * The envelope: the two fields of a message that tracing needs.
 *
 * The bytes are walked once, and no tree is built. JSON.parse would not do: it rounds an id above 2^53, turns 1.0 into 1, and
 * takes the last of two ids without a word, so that a message could be one thing here and another in the next service.
 */

import { isUtf8 } from 'node:buffer';
import { ADHOC, MAX_ID, runFault } from './names.js';
import { Scanner } from './scanner.js';

/** A message is no envelope. The text is fit to be sent to the client that posted it. */
export class EnvelopeError extends Error {
  name = 'EnvelopeError';
}

const ID_NAMES = ['id', 'MsgID', 'msgid', 'msg_id'].map((name) => Buffer.from(name));
const RUN_NAME = Buffer.from('run');
const QUOTE = 0x22;

/** The run of the message before: messages come in long rows of the same run, which then need no new string each. */
const lastRun = { bytes: Buffer.from(ADHOC), text: ADHOC };

/**
 * Reads the id and the run of a message.
 *
 * @param {Uint8Array | string} body
 * @returns {{ id: number, run: string }}
 * @throws {EnvelopeError} when the message is no envelope
 */
export function envelope(body) {
  const bytes = asBuffer(body);
  const scanner = new Scanner(bytes);
  const fields = { id: undefined, run: undefined, twice: undefined };
  try {
    readFields(scanner, fields);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new EnvelopeError(`the body is no JSON object: ${error.message}`);
  }
  // Only strings can hold anything but ASCII.
  if (scanner.hasMore && !isUtf8(bytes)) throw new EnvelopeError('the body is no JSON object: it is not UTF-8');
  if (fields.twice !== undefined) throw new EnvelopeError(`the body has more than one ${fields.twice}`);
  if (fields.id === undefined) {
    throw new EnvelopeError('the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)');
  }
  if (typeof fields.id !== 'number') {
    throw new EnvelopeError(`the id is ${fields.id}: it must be an unsigned integer of at most ${MAX_ID} (2^53 - 1)`);
  }
  return { id: fields.id, run: fields.run ?? ADHOC };
}

function asBuffer(body) {
  if (Buffer.isBuffer(body)) return body;
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  throw new TypeError('a message is a Buffer, a Uint8Array or a string');
}

function readFields(scanner, fields) {
  scanner.enter();
  while (scanner.nextField()) {
    const key = keyOf(scanner);
    const from = scanner.at;
    scanner.skipValue();
    if (key === 'id') {
      if (fields.id !== undefined) fields.twice ??= 'id';
      fields.id = idOf(scanner.bytes, from, scanner.at);
    } else if (key === 'run') {
      if (fields.run !== undefined) fields.twice ??= 'run';
      fields.run = runOf(scanner, from, scanner.at);
    }
  }
}

/** Which of the two fields it is; nothing for any other. */
function keyOf(scanner) {
  const { bytes, keyFrom, keyTo } = scanner;
  if (scanner.keyHasEscapes) {
    const key = scanner.text(keyFrom, keyTo);
    return key === 'run' ? 'run' : ID_NAMES.some((name) => name.latin1Slice() === key) ? 'id' : undefined;
  }
  if (isText(bytes, keyFrom, keyTo, RUN_NAME)) return 'run';
  for (const name of ID_NAMES) if (isText(bytes, keyFrom, keyTo, name)) return 'id';
  return undefined;
}

/** Whether just these bytes stand there. For so few of them a loop is quicker than a call of Buffer's. */
function isText(bytes, from, to, text) {
  if (to - from !== text.length) return false;
  for (let at = 0; at < text.length; at += 1) if (bytes[from + at] !== text[at]) return false;
  return true;
}

/** The id; where the value is none, what it is instead, so that broken JSON further on is still reported as such. */
function idOf(bytes, from, to) {
  let id = 0;
  for (let at = from; at < to; at += 1) {
    const digit = bytes[at] - 0x30;
    if (digit < 0 || digit > 9) return WHAT[String.fromCharCode(bytes[from])] ?? `the number ${shown(bytes, from, to)}`;
    // Rounding never brings a number above 2^53 - 1 back to it.
    id = id * 10 + digit;
  }
  return id <= MAX_ID ? id : shown(bytes, from, to);
}

const WHAT = { '"': 'a string', '[': 'an array', '{': 'an object', t: 'true', f: 'false', n: 'null' };

/** What stands there, cut to a length that an error can have. */
function shown(bytes, from, to) {
  return bytes.latin1Slice(from, Math.min(to, from + 40));
}

function runOf(scanner, from, to) {
  const { bytes } = scanner;
  if (bytes[from] !== QUOTE) throw new SyntaxError('the run is no string');
  if (isText(bytes, from + 1, to - 1, lastRun.bytes)) return lastRun.text;
  const text = scanner.text(from + 1, to - 1);
  const fault = runFault(text);
  if (fault !== undefined) throw new EnvelopeError(fault);
  lastRun.text = text;
  lastRun.bytes = Buffer.from(text);
  return text;
}
