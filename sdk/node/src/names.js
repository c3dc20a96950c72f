/** Which names are allowed, as docs/protocol.md has them. */

/** The run of messages that name none. */
export const ADHOC = 'adhoc';

/** The largest id, 2^53 - 1: the largest integer that a number holds together with all below it. */
export const MAX_ID = Number.MAX_SAFE_INTEGER;

const RESERVED = new Set(['service', 'sweep', 'clock']);

/** Why the text is no run id; undefined where it is one. */
export function runFault(run) {
  if (typeof run !== 'string' || !/^[A-Za-z0-9._-]{1,64}$/.test(run)) {
    // A hostile name can be as long as a message; the error need not be.
    return `run ${JSON.stringify(String(run).slice(0, 80))} is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -`;
  }
  return RESERVED.has(run) ? `run "${run}" is a reserved name: choose another` : undefined;
}

/** Throws a RangeError where the text is no stage name. */
export function checkStage(stage) {
  if (typeof stage !== 'string' || !/^[a-z][a-z0-9_-]{0,31}$/.test(stage) || stage === 'counts') {
    const shown = JSON.stringify(String(stage).slice(0, 80));
    throw new RangeError(`stage ${shown} is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter`);
  }
}

/** Throws a RangeError where the text is no name of a counter: `@` would divide it from its writer. */
export function checkCounter(name) {
  if (typeof name !== 'string' || !/^[a-z][a-z0-9_.-]{0,63}$/.test(name)) {
    const shown = JSON.stringify(String(name).slice(0, 80));
    throw new RangeError(`counter ${shown} is invalid: use 1 to 64 characters of a-z 0-9 . _ -, starting with a letter`);
  }
}
