/** The server-side script that takes stamps: one reading of the one clock for all that come with a call. */

import { createHash } from 'node:crypto';
import { CLOCK_STEPS } from './scale.js';

/**
 * Reads TIME and appends the stamps. KEYS: the lists, and last the list of clock steps. ARGV: seconds to live; the number of
 * the time scale (empty for plain stamps, which are told in the present one); then for each list the number of its stamps,
 * and for each stamp its id, its event time in µs (empty for a plain one) and the bound of its error.
 */
export const STAMP = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = string.format(',"time":"%s.%06d"', time[1], time[2])
local scale = ARGV[2] == '' and redis.call('LLEN', KEYS[#KEYS]) or tonumber(ARGV[2])
local tail = scale == 0 and '}' or ',"step":' .. scale .. '}'
local arg = 3
for k = 1, #KEYS - 1 do
    local entries = {}
    for n = 1, ARGV[arg] do
        local id, event, err = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
        local lag = event == '' and '' or string.format(',"lag":%d,"err":%s', now - event, err)
        entries[n] = '{"id":' .. id .. clock .. lag .. tail
        arg = arg + 3
    end
    arg = arg + 1
    redis.call('RPUSH', KEYS[k], unpack(entries))
    redis.call('EXPIRE', KEYS[k], ARGV[1])
end
`;

/** By which Redis knows the script once it is loaded. */
const HASH = createHash('sha1').update(STAMP).digest('hex');

/**
 * The command that writes stamps.
 *
 * @param {{ book: object, slot: number, id: number, at: bigint }[]} marks
 * @param {{ text: string }[]} names
 * @param {((moment: bigint) => { us: number, errorUs: number }) | undefined} told Redis time at a moment; without it the
 *   stamps are plain
 * @param {number} scale the number of the time scale that event times are told in
 */
export function stampCommand(marks, names, told, scale, timeToLive) {
  const lists = new Map();
  for (const mark of marks) {
    const key = `trace:${mark.book.run}:${names[mark.slot].text}`;
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [mark]);
    else list.push(mark);
  }
  const command = ['EVALSHA', HASH, String(lists.size + 1), ...lists.keys(), CLOCK_STEPS];
  command.push(String(timeToLive), told === undefined ? '' : String(scale));
  for (const list of lists.values()) {
    command.push(String(list.length));
    for (const { id, at } of list) {
      const event = told?.(at);
      command.push(String(id), String(event?.us ?? ''), String(event?.errorUs ?? ''));
    }
  }
  return command;
}
