/** The tracer against a real redis-server. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { Tracer, VERSION, moment } from '../index.js';
import { freePort, makeCertificate } from '../testing/certificate.js';
import { Server, until } from '../testing/server.js';

async function start(t, server, options = {}) {
  const warnings = [];
  const tracer = new Tracer(server.url, {
    service: 'svc', stages: ['s'], every: 10, onWarning: (warning) => warnings.push(warning), ...options,
  });
  t.after(() => tracer.close(100));
  return { tracer, warnings };
}

const eventUs = ({ time, lag = 0 }) => {
  const [seconds, micros] = time.split('.').map(Number);
  return seconds * 1e6 + micros - lag;
};

test('every message is counted, sampled ones are stamped with their event time', async (t) => {
  const server = await Server.start(t);
  const { tracer } = await start(t, server);
  assert(await tracer.flush());
  const before = tracer.now();
  const at = moment();
  for (let id = 0; id < 1000; id += 1) tracer.stamp('s', id, 'r');
  tracer.stamp('s', 5000, 'r', at);
  tracer.count('garbage');
  const after = tracer.now();
  assert.deepEqual(await tracer.close(), { unwritten: 0 });
  assert.deepEqual(await server.counts('r'), { s: 1001 });
  assert.deepEqual(await server.counts(), { garbage: 1 });
  const stamps = await server.stamps('s', 'r');
  assert.deepEqual(stamps.map(({ id }) => id), [...Array.from({ length: 100 }, (_, number) => number * 10), 5000]);
  for (const stamp of stamps) {
    const event = eventUs(stamp);
    assert(event >= before.us - before.errorUs - stamp.err && event <= after.us + after.errorUs + stamp.err, JSON.stringify(stamp));
    assert.equal(stamp.step, undefined);
  }
});

test('a process says that it is there, and that it has gone', async (t) => {
  const server = await Server.start(t);
  const { tracer } = await start(t, server, { every: 7, stages: ['s', 'second'] });
  assert(await tracer.flush());
  const [key] = await server.ask('KEYS', 'trace:service:svc:*');
  const beat = JSON.parse(await server.ask('GET', key));
  assert.deepEqual([beat.service, key], ['svc', `trace:service:svc:${beat.instance}`]);
  assert.deepEqual([beat.every, beat.stages, beat.version, beat.pid], [7, ['s', 'second'], VERSION, process.pid]);
  assert(beat.clock.error_us > 0 && beat.cpu_us > 0 && beat.memory_bytes > 0);
  await tracer.close();
  assert.deepEqual(await server.ask('KEYS', 'trace:service:*'), []);
});

test('plain stamps have no event time', async (t) => {
  const server = await Server.start(t);
  await server.ask('RPUSH', 'trace:clock:steps', '{"at":"1.000000","size":5,"err":1}');
  const { tracer } = await start(t, server, { clock: 'plain' });
  tracer.stamp('s', 0);
  assert.equal(tracer.now(), undefined);
  await tracer.close();
  const [stamp] = await server.stamps('s');
  assert.deepEqual(Object.keys(stamp), ['id', 'time', 'step']);
  assert.equal(stamp.step, 1);
});

test('stamps are told in the time scale that the log store has', async (t) => {
  const server = await Server.start(t);
  for (const size of [5, -7]) await server.ask('RPUSH', 'trace:clock:steps', `{"at":"1.000000","size":${size},"err":1}`);
  const { tracer } = await start(t, server);
  tracer.stamp('s', 0);
  await tracer.close();
  assert.deepEqual((await server.stamps('s')).map(({ step }) => step), [2]);
});

test('while the log store is away stamps wait, and it is all there once it is back', async (t) => {
  const server = await Server.start(t);
  const { tracer, warnings } = await start(t, server, { every: 1 });
  tracer.stamp('s', 1);
  assert(await tracer.flush());
  await server.stop();
  for (let id = 2; id < 500; id += 1) tracer.stamp('s', id);
  assert.equal(await tracer.flush(200), false);
  await server.restart();
  assert(await tracer.flush(10_000));
  assert.deepEqual(await server.counts(), { s: 499 });
  assert.deepEqual((await server.stamps('s')).map(({ id }) => id), Array.from({ length: 498 }, (_, number) => number + 2));
  assert.deepEqual(await tracer.close(), { unwritten: 0 });
  assert.equal(warnings.filter((warning) => warning.startsWith('stamps and counts wait')).length, 1, warnings.join('\n'));
});

test('a log store that never answers makes nothing wait, and is told at the end', async (t) => {
  const server = await Server.start(t);
  await server.stop();
  const { tracer } = await start(t, server, { every: 1, buffer: 3 });
  for (let id = 0; id < 5; id += 1) tracer.stamp('s', id);
  assert.deepEqual([tracer.dropped, tracer.now()], [2, undefined]);
  assert.deepEqual(await tracer.close(100), { unwritten: 5 });
});

test('stamps whose writing is not confirmed are dropped and counted, and none is there twice', async (t) => {
  const server = await Server.start(t);
  const { tracer } = await start(t, server, { every: 1 });
  assert(await tracer.flush());
  // A server that has stopped takes what is sent, and answers when it goes on: too late.
  server.signal('SIGSTOP');
  for (let id = 0; id < 10; id += 1) tracer.stamp('s', id);
  await until(() => tracer.dropped > 0);
  server.signal('SIGCONT');
  assert(await tracer.flush(10_000));
  for (let id = 10; id < 20; id += 1) tracer.stamp('s', id);
  const { unwritten } = await tracer.close();
  const ids = (await server.stamps('s')).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(await server.counts(), { s: 20, 'dropped.s': unwritten });
  assert(ids.length + unwritten >= 20, `${ids.length} + ${unwritten}`);
});

test('a log store that has forgotten the script is taught it again', async (t) => {
  const server = await Server.start(t);
  const { tracer } = await start(t, server, { every: 1 });
  assert(await tracer.flush());
  await server.ask('SCRIPT', 'FLUSH');
  for (let id = 0; id < 200; id += 1) tracer.stamp('s', id);
  assert(await tracer.flush());
  assert.equal((await server.stamps('s')).length, 200);
  assert.equal(tracer.dropped, 0);
});

test('a key of the wrong type spoils nothing but its own run', async (t) => {
  const server = await Server.start(t);
  const { tracer, warnings } = await start(t, server);
  await server.ask('SET', 'trace:bad:s', 'a string');
  tracer.stamp('s', 0, 'bad');
  assert(await tracer.flush());
  tracer.stamp('s', 0, 'good');
  assert(await tracer.flush());
  assert.deepEqual(await server.counts('good'), { s: 1 });
  assert.equal((await server.stamps('s', 'good')).length, 1);
  assert.equal((await tracer.close()).unwritten, 1);
  assert.deepEqual(await server.counts('bad'), { s: 1, 'dropped.s': 1 });
  assert(warnings.some((warning) => warning.includes('WRONGTYPE')), warnings.join('\n'));
});

test('wrong use is told at once', async (t) => {
  const server = await Server.start(t);
  const { tracer } = await start(t, server);
  // Whether they would be sampled or not.
  for (const id of [-10, -1, 2 ** 53, NaN, 0.5, '5', 5n, 10n, null, undefined]) {
    assert.throws(() => tracer.stamp('s', id), RangeError, String(id));
  }
  assert.throws(() => tracer.stamp('No Stage', 1), RangeError);
  assert.throws(() => tracer.stamp('s', 1, 'no run'), RangeError);
  assert.throws(() => tracer.stamp('s', 0, 'adhoc', 5), TypeError);
  assert.throws(() => tracer.count('garbage', -1), RangeError);
  assert.throws(() => new Tracer(server.url, { service: 'svc', stages: ['s'], every: 0 }), /every: 0/);
  for (const service of ['', 'a:b', undefined]) {
    assert.throws(() => new Tracer(server.url, { service, stages: ['s'] }), /service: /);
  }
  assert.throws(() => new Tracer(server.url, { service: 'svc', stages: ['S'] }), /stage "S" is invalid/);
});

test('passwords, and databases', async (t) => {
  const server = await Server.start(t, ['--requirepass', 'secret']);
  const warnings = [];
  const onWarning = (warning) => warnings.push(warning);
  const options = { service: 'svc', stages: ['s'], every: 1, onWarning };
  const tracer = new Tracer(`${server.url}?pass=secret&db=3`, options);
  tracer.stamp('s', 0);
  assert(await tracer.flush());
  assert(tracer.now());
  assert.deepEqual(await tracer.close(), { unwritten: 0 });
  const refused = new Tracer(`${server.url}?pass=wrong`, options);
  refused.stamp('s', 0);
  assert.deepEqual(await refused.close(1000), { unwritten: 1 });
  assert(warnings.some((warning) => warning.includes('WRONGPASS')), warnings.join('\n'));
  assert(!/secret|wrong\b/.test(warnings.join('\n')), warnings.join('\n'));
});

test('TLS, with an authority of its own', async (t) => {
  const made = await makeCertificate(t);
  if (made === undefined) return t.skip('there is no openssl to make a certificate');
  const { certificate, key } = made;
  const port = await freePort();
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate];
  await Server.start(t, ['--requirepass', 'secret', '--tls-port', String(port), '--tls-auth-clients', 'no', ...files]);
  const url = `rediss://:secret@127.0.0.1:${port}`;
  const { tracer } = await start(t, { url }, { caFile: certificate });
  tracer.stamp('s', 0);
  assert(await tracer.flush());
  assert(tracer.now());
  assert.deepEqual(await tracer.close(), { unwritten: 0 });
  // Without it, nobody vouches for the server.
  const { tracer: suspicious, warnings } = await start(t, { url });
  await until(() => warnings.some((warning) => warning.includes('certificate')));
  assert.equal(await suspicious.flush(50), false);
});

test('a tracer that is not closed keeps no process alive', async (t) => {
  const server = await Server.start(t);
  const script = `
    import { Tracer } from '${new URL('../index.js', import.meta.url)}';
    const tracer = new Tracer('${server.url}', { service: 'svc', stages: ['s'] });
    if (!(await tracer.flush(5000))) process.exit(3);
    tracer.stamp('s', 0, 'r');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.deepEqual(await server.counts('r'), { s: 1 });
  assert.equal((await server.stamps('s', 'r')).length, 1);
  assert.deepEqual(await server.ask('KEYS', 'trace:service:*'), []);
});
