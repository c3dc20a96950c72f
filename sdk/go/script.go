package stampede

import (
	"time"

	"github.com/gomodule/redigo/redis"
)

// stampScript reads TIME once and appends all the stamps that come with a call. KEYS: the lists, and last the list of clock steps.
// ARGV: seconds to live; the number of the time scale (empty for plain stamps, which are told in the present one); then for each list
// the number of its stamps, and for each stamp its id, its event time in µs (empty for a plain one) and the bound of its error.
var stampScript = redis.NewScript(-1, `
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
`)

// stampArguments are those of EVALSHA for a batch of stamps. Without a clock they are plain.
func stampArguments(marks []mark, names []name, clock *clockState, scale int64, timeToLive time.Duration) []interface{} {
	type list struct {
		book *book
		slot int
	}
	lists := map[list][]mark{}
	var order []list
	for _, mark := range marks {
		of := list{mark.book, mark.slot}
		if lists[of] == nil {
			order = append(order, of)
		}
		lists[of] = append(lists[of], mark)
	}
	arguments := make([]interface{}, 0, 5+2*len(order)+3*len(marks))
	arguments = append(arguments, stampScript.Hash(), len(order)+1)
	for _, of := range order {
		arguments = append(arguments, "trace:"+of.book.run+":"+names[of.slot].text)
	}
	arguments = append(arguments, clockSteps, seconds(timeToLive))
	if clock == nil {
		arguments = append(arguments, "")
	} else {
		arguments = append(arguments, scale)
	}
	for _, of := range order {
		arguments = append(arguments, len(lists[of]))
		for _, mark := range lists[of] {
			if clock == nil {
				arguments = append(arguments, mark.id, "", "")
				continue
			}
			event := clock.at(mark.at)
			arguments = append(arguments, mark.id, event.Us, event.ErrorUs)
		}
	}
	return arguments
}
