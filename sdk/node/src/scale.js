/**
 * Time scales: between two settings of the log store's clock lies one, and its number tells all processes which event times
 * may be subtracted.
 *
 * The number is the length of one list in the log store, to which the first process that notices a step appends it. Where a
 * process stands in that list is told by how far its clock was set: one that probes late sees several steps as one, or none
 * where they cancel out, and must not take a place that is not its own.
 */

import { createHash } from 'node:crypto';

/** The list of the times that the log store's clock was set. */
export const CLOCK_STEPS = 'trace:clock:steps';

/**
 * Finds the place to which the steps after a known one lead, and appends what is missing. KEYS: the list. ARGV: seconds to
 * live; the number known so far; how far the clock was set since then, and the bound of its error, µs. Of several places that
 * fit, the last is right: others have noted what came after the first.
 */
export const PLACE = `
local steps = redis.call('LRANGE', KEYS[1], 0, -1)
local known, set, err = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if known > #steps then known = 0 end
local noted, slack = 0, err
local number = math.abs(set) <= 2 * slack and known or nil
for k = known + 1, #steps do
    noted = noted + (tonumber(string.match(steps[k], '"size":(%-?%d+)')) or 0)
    slack = slack + (tonumber(string.match(steps[k], '"err":(%d+)')) or 0)
    if math.abs(noted - set) <= 2 * slack then number = k end
end
if not number then
    local time = redis.call('TIME')
    local entry = string.format('{"at":"%s.%06d","size":%.0f,"err":%.0f}', time[1], time[2], set - noted, slack)
    number = redis.call('RPUSH', KEYS[1], entry)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return number
`;

const PLACE_HASH = createHash('sha1').update(PLACE).digest('hex');

/** Which time scale this process's clock tells. The script must have been loaded. */
export class Scale {
  /** A number, and how far the clock had been set in all when it was found. */
  #known = undefined;

  /**
   * The number of the time scale that `clock` tells. The log store is asked where the clock was set, and where `looks` says
   * so: steps that cancel out between two probes are seen by others alone.
   *
   * @param {import('./clock/state.js').ClockState} clock
   * @param {import('./link.js').Link} link
   */
  async number(clock, looks, link, timeToLive) {
    const known = this.#known;
    let number;
    if (known === undefined) {
      number = await ask(link, ['LLEN', CLOCK_STEPS]);
    } else if (known.us === clock.steppedUs && known.errorUs === clock.steppedErrorUs && !looks) {
      return known.number;
    } else {
      const since = [clock.steppedUs - known.us, clock.steppedErrorUs - known.errorUs];
      number = await ask(link, ['EVALSHA', PLACE_HASH, '1', CLOCK_STEPS, ...[timeToLive, known.number, ...since].map(String)]);
    }
    this.#known = { number, us: clock.steppedUs, errorUs: clock.steppedErrorUs };
    return number;
  }
}

async function ask(link, command) {
  const [answer] = await link.run([command]);
  if (answer instanceof Error) throw answer;
  return answer;
}
