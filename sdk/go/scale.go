package stampede

import (
	"time"

	"github.com/gomodule/redigo/redis"

	"stampede/sdk/go/internal/filter"
)

// Time scales: between two settings of the log store's clock lies one, and its number tells all processes which event times may be
// subtracted.
//
// The number is the length of one list in the log store, to which the first process that notices a step appends it. Where a process
// stands in that list is told by how far its clock was set: one that probes late sees several steps as one, or none where they cancel
// out, and must not take a place that is not its own.

// clockSteps is the list of the times that the log store's clock was set.
const clockSteps = "trace:clock:steps"

// place finds the place to which the steps after a known one lead, and appends what is missing. KEYS: the list. ARGV: seconds to live;
// the number known so far; how far the clock was set since then, and the bound of its error, µs. Of several places that fit, the last
// is right: others have noted what came after the first.
var place = redis.NewScript(1, `
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
`)

// scale is which time scale this process's clock tells.
type scale struct {
	isKnown bool
	// The newest number, and how far the clock had been set in all when it was found.
	known   int64
	stepped filter.Step
}

// number gives the number of the time scale that the clock tells. The log store is asked where the clock was set, and where looks
// says so: steps that cancel out between two probes are seen by others alone.
func (s *scale) number(clock *clockState, looks bool, client redis.Conn, timeToLive time.Duration) (int64, error) {
	var number int64
	var err error
	switch {
	case !s.isKnown:
		number, err = redis.Int64(client.Do("LLEN", clockSteps))
	case s.stepped == clock.stepped && !looks:
		return s.known, nil
	default:
		size, errorUs := clock.stepped.SizeUs-s.stepped.SizeUs, clock.stepped.ErrorUs-s.stepped.ErrorUs
		number, err = redis.Int64(place.Do(client, clockSteps, seconds(timeToLive), s.known, size, errorUs))
	}
	if err != nil {
		return 0, err
	}
	*s = scale{isKnown: true, known: number, stepped: clock.stepped}
	return number, nil
}

func seconds(duration time.Duration) int64 {
	return int64(duration / time.Second)
}
