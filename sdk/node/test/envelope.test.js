import assert from 'node:assert/strict';
import test from 'node:test';
import { EnvelopeError, envelope } from '../index.js';

function check(body, id, run = 'adhoc') {
  assert.deepEqual(envelope(body), { id, run }, body);
  assert.deepEqual(envelope(Buffer.from(body)), { id, run }, body);
}

const fault = (body) => {
  try {
    return JSON.stringify(envelope(body));
  } catch (error) {
    assert(error instanceof EnvelopeError, error);
    return error.message;
  }
};

test('where the id is found', () => {
  check('{"data":"news","id":12000}', 12000);
  check('{"MsgID":1}', 1);
  check('{"msgid":2,"run":"r.c05"}', 2, 'r.c05');
  check(' {"run":"r","a":{"id":"inner"},"msg_id" : 9007199254740991 } ', 9007199254740991, 'r');
  check('{"\\u0069d":3,"run":"\\u0061"}', 3, 'a');
  check('{"ids":1,"i":2,"id":0,"runs":3,"data":"ä\\u00e4\\n"}', 0);
});

test('what the sender is told', () => {
  const range = 'it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)';
  assert.equal(fault('[1]'), 'the body is no JSON object: an object is expected at byte 0');
  assert.equal(fault('{"id":1} x'), 'the body is no JSON object: nothing may follow the object at byte 9');
  assert.equal(fault('{"id":1,"MsgID":1}'), 'the body has more than one id');
  assert.equal(fault('{"id":1,"run":"a","run":"a"}'), 'the body has more than one run');
  assert.equal(fault('{"data":1}'), 'the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)');
  assert.equal(fault('{"id":"1"}'), `the id is a string: ${range}`);
  assert.equal(fault('{"id":-1}'), `the id is the number -1: ${range}`);
  assert.equal(fault('{"id":1,"run":"a b"}'), 'run "a b" is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -');
  assert.equal(fault('{"id":1,"run":"sweep"}'), 'run "sweep" is a reserved name: choose another');
});

test('what JSON.parse would take for an id', () => {
  for (const id of ['1.0', '1e3', '-0', '9007199254740992', '9007199254740993', '1e999', '18446744073709551617', 'true', 'null']) {
    assert.match(fault(`{"id":${id}}`), /^the id is /, id);
  }
});

test('what is no JSON', () => {
  const broken = [
    '', '{', '{"id":1,', '{"id":1,}', '{,"id":1}', '{"id":1 "a":2}', '{"id":01}', '{"id":1.}', '{"id":1,"a":+1}', '{"id":1,"a":.5}',
    '{"id":1,"a":tru}', '{"id":1,"a":nulls}', '{"id":1,"a":[1,]}', '{"id":1,"a":[1}', '{"id":1,"a":{"b"}}', '{"id":1,"a":"\t"}',
    '{"id":1,"a":"\\x"}', '{"id":1,"a":"\\u12g4"}', '{"id":1,"a":"', "{'id':1}", '{"id":1,"a":1e}', '{id:1}', '\u{feff}{"id":1}',
  ];
  for (const body of broken) assert.match(fault(body), /^the body is no JSON object: /, body);
  assert.match(fault(Buffer.from('{"id":1,"a":"\xff"}', 'latin1')), /it is not UTF-8$/);
});

test('a message that was cut off, or spoiled anywhere, ends in nothing but an EnvelopeError', () => {
  const whole = Buffer.from('{"run":"r\\u0061","a":[true,{"b":-1.5e3,"c":null}],"\\u0069d":7,"d":"\\n\\u00e4ä"}');
  check(whole, 7, 'ra');
  for (let length = 0; length < whole.length; length += 1) {
    assert.throws(() => envelope(whole.subarray(0, length)), EnvelopeError, String(length));
  }
  for (let at = 0; at < whole.length; at += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const spoiled = Buffer.from(whole);
      spoiled[at] = byte;
      // What is still an envelope is also JSON to others.
      if (!fault(spoiled).startsWith('{')) continue;
      assert.equal(typeof JSON.parse(spoiled.toString()), 'object', String(spoiled));
    }
  }
});

test('half a pair of surrogates is no character of a key', () => {
  assert.match(fault('{"id":1,"\\ud800":2}'), /half of a surrogate pair/);
  check('{"id":1,"\\ud83d\\ude00":2}', 1);
});

test('depth does not matter', () => {
  check(`{"data":${'['.repeat(100_000)}${']'.repeat(100_000)},"id":7}`, 7);
});

test('bodies of any kind of bytes', () => {
  const bytes = new TextEncoder().encode('xx{"id":5}xx').subarray(2, -2);
  assert.deepEqual(envelope(bytes), { id: 5, run: 'adhoc' });
  assert.throws(() => envelope({ id: 5 }), TypeError);
});
