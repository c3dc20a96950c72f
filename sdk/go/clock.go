package stampede

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stampede/sdk/go/internal/filter"
)

// Moment is a moment of this process's monotonic clock, ns. Differences are durations; nothing else means anything.
type Moment int64

// started is what moments count from.
var started = time.Now()

// LocalNow is this moment, to be given to [Tracer.StampAt] later.
func LocalNow() Moment {
	return Moment(time.Since(started))
}

// RedisTime is a moment in Redis time.
type RedisTime struct {
	// Us is µs since 1970-01-01 UTC.
	Us int64
	// ErrorUs is the bound of its error, µs, rounded up.
	ErrorUs int64
}

const (
	// Probes at the start, one right after the other.
	burst = 16
	// How often the clock is probed after that, for a while: under load it takes some dozen probes until one is quick.
	earlyPeriod  = 10 * time.Millisecond
	earlyPeriods = 32
	// How often the clock is probed from then on.
	probePeriod = 100 * time.Millisecond
	// Probes each time: the first one warms the way for the second.
	probesPerPeriod = 2
	// How long an answer may take.
	probePatience = time.Second
)

// clockState is what the clock knows at one moment. It converts any number of moments alike, in one time scale.
type clockState struct {
	line filter.Line
	// How often the Redis clock has been set since this clock started, and how far in all: the sum of the steps, and of the bounds
	// of their errors.
	steps   uint32
	stepped filter.Step
}

func (c *clockState) at(moment Moment) RedisTime {
	ns, errorNs := c.line.RedisNs(int64(moment))
	if errorNs < 0 {
		errorNs = 0
	}
	// To the nearest microsecond: the filter already allows for TIME being cut.
	return RedisTime{Us: (ns + 500) / 1000, ErrorUs: (errorNs + 999) / 1000}
}

// redisClock is Redis time for any moment of this process. A goroutine with a connection of its own probes for it.
type redisClock struct {
	address *address
	warn    func(string)
	// Nothing before the first probe.
	state atomic.Pointer[clockState]
	// Closed once the clock is known; only the goroutine that probes asks whether it is.
	known   chan struct{}
	isKnown bool
	// Another server may have taken over.
	looksAgain atomic.Bool
	ended      sync.WaitGroup
}

// startClock starts probing a server, which need not be there yet, until the context ends.
func startClock(ctx context.Context, address *address, warn func(string)) *redisClock {
	clock := &redisClock{address: address, warn: warn, known: make(chan struct{})}
	clock.ended.Add(1)
	go clock.discipline(ctx)
	return clock
}

func (c *redisClock) discipline(ctx context.Context) {
	defer c.ended.Done()
	var (
		probes filter.Filter
		sum    filter.Step
		prober *prober
		isAway bool
	)
	take := func(probe filter.Probe) {
		verdict, size := probes.Add(probe)
		if verdict == filter.Stepped {
			sum.SizeUs += size.SizeUs
			sum.ErrorUs += size.ErrorUs
			c.warn(fmt.Sprintf("the redis clock was set by %d µs", size.SizeUs))
		}
		line, _ := probes.Line() // There is one after the first probe.
		c.state.Store(&clockState{line: line, steps: probes.Steps(), stepped: sum})
	}
	for turn := 0; ; turn++ {
		if c.looksAgain.Swap(false) {
			prober = prober.end()
		}
		err := c.probeAll(ctx, &prober, take)
		if err != nil {
			prober = prober.end()
			if !isAway && ctx.Err() == nil {
				c.warn(fmt.Sprintf("the clock runs on unwatched: redis at %s: %v", c.address.shown, err))
			}
		}
		isAway = err != nil
		period := probePeriod
		if turn < earlyPeriods {
			period = earlyPeriod
		}
		select {
		case <-ctx.Done():
			prober.end()
			return
		case <-time.After(period):
		}
	}
}

func (c *redisClock) probeAll(ctx context.Context, prober **prober, take func(filter.Probe)) error {
	if *prober == nil {
		opened, err := openProber(ctx, c.address)
		if err != nil {
			return err
		}
		*prober = opened
	}
	number := probesPerPeriod
	if !c.isKnown {
		number = burst
	}
	for ; number > 0; number-- {
		probe, err := (*prober).probe()
		if err != nil {
			return err
		}
		take(probe)
	}
	if !c.isKnown {
		c.isKnown = true
		close(c.known)
	}
	return nil
}
