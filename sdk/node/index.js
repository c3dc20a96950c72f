/** Stamps for Stampede from Node.js. See README.md; the wire is described in docs/protocol.md. */

export { EnvelopeError, envelope } from './src/envelope.js';
export { Tracer, moment } from './src/tracer.js';
export { VERSION } from './src/version.js';
