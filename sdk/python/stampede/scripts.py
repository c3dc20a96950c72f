"""The server-side scripts: what must happen at once in the log store. They are those of the Rust crate `stamp`, to the letter."""

# Reads TIME and appends the stamps. KEYS: the lists, and last the list of clock steps. ARGV: seconds to live; the number of
# the time scale (empty for plain stamps, which are told in the present one); then for each list the number of its stamps,
# and for each stamp its id, its event time in µs (empty for a plain one) and the bound of its error.
STAMP = """
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
"""

# Finds the place to which the steps after a known one lead, and appends what is missing. KEYS: the list. ARGV: seconds to
# live; the number known so far; how far the clock was set since then, and the bound of its error, µs. Of several places that
# fit, the last is right: others have noted what came after the first.
PLACE = r"""
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
"""
