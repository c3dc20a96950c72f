import assert from 'node:assert/strict';
import test from 'node:test';
import { Address } from '../src/address.js';

test('addresses', () => {
  const check = (url, socketOptions, username, password, database, shown) => {
    const address = new Address(url);
    const found = [address.socketOptions, address.username, address.password, address.database, address.shown];
    assert.deepEqual(found, [socketOptions, username, password, database, shown]);
  };
  check('redis://h', { host: 'h', port: 6379 }, undefined, undefined, 0, 'redis://h:6379');
  check('redis://:p%40ss@h:1/2', { host: 'h', port: 1 }, undefined, 'p@ss', 2, 'redis://h:1/2');
  check('redis://u:p@[::1]:1', { host: '::1', port: 1 }, 'u', 'p', 0, 'redis://[::1]:1');
  check('redis+unix:///a/b.sock?db=3&user=u&pass=p', { path: '/a/b.sock' }, 'u', 'p', 3, 'redis+unix:///a/b.sock');
  assert(new Address('rediss://h').isTls);
});

test('a wrong address is told without its secrets', () => {
  for (const url of ['redis://u:secret@h:port', 'http://u:secret@h', 'redis://u:secret@h/x', 'secret', 'redis://u:%secret@h', 'redis+unix://']) {
    assert.throws(() => new Address(url), (error) => error instanceof TypeError && !String(error.stack).includes('secret'), url);
  }
  assert.throws(() => new Address('redis://h', '/no/file'), /for rediss/);
});
