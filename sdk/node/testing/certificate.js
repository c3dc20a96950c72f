/** What a server with TLS needs in a test. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** A certificate for 127.0.0.1 that has signed itself, and its key, as files. Undefined where there is no openssl to make them. */
export async function makeCertificate(test) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'stampede-'));
  test.after(() => rm(folder, { recursive: true }));
  const [certificate, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const names = ['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  try {
    execFileSync('openssl', [...request, ...names, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  return { certificate, key };
}

/** A port that nothing listens on. */
export async function freePort() {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}
