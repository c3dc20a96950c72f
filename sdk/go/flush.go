package stampede

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps may
	// gather. Plain stamps are written at once.
	flushPeriod = 100 * time.Millisecond
	// How long a connection and an answer may take: a stall of two seconds means that Redis is away.
	flushPatience = 2 * time.Second
	// How long the first flush waits for the clock: stamps from before it is known can then be told in Redis time, too.
	clockWithin = 2 * time.Second

	shortestBackoff = 50 * time.Millisecond
	longestBackoff  = 2 * time.Second
)

// flusher is the one goroutine that writes stamps, counts and beats to the log store.
type flusher struct {
	settings *settings
	books    *books
	// Absent where stamps are plain.
	clock *redisClock
	scale scale
	// None before the first, and after one has failed.
	connection *connection
	backoff    time.Duration
	beatAt     Moment
	wakes      chan struct{}
	// Closed when nothing is written any more.
	ended chan struct{}

	mutex sync.Mutex // guards what follows
	asked []request
}

// request asks for a flush, and where it leaves, to sign off after it.
type request struct {
	done   chan struct{}
	leaves bool
}

func startFlusher(ctx context.Context, settings *settings, books *books, clock *redisClock) *flusher {
	f := &flusher{settings: settings, books: books, clock: clock, beatAt: LocalNow(), wakes: make(chan struct{}, 1), ended: make(chan struct{})}
	go f.run(ctx)
	return f
}

// wake has what has gathered written at once instead of at the end of the period.
func (f *flusher) wake() {
	select {
	case f.wakes <- struct{}{}:
	default:
	}
}

// ask asks for a flush; the channel is closed once everything that was stamped and counted before is in the log store.
func (f *flusher) ask(leaves bool) <-chan struct{} {
	done := make(chan struct{})
	f.mutex.Lock()
	f.asked = append(f.asked, request{done, leaves})
	f.mutex.Unlock()
	f.wake()
	return done
}

func (f *flusher) run(ctx context.Context) {
	defer close(f.ended)
	defer f.disconnect()
	if f.clock != nil {
		select {
		case <-f.clock.known:
		case <-time.After(clockWithin):
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		f.mutex.Lock()
		asked := f.asked
		f.asked = nil
		f.mutex.Unlock()
		if !f.flush(ctx) {
			f.mutex.Lock()
			f.asked = append(asked, f.asked...)
			f.mutex.Unlock()
			f.pause(ctx)
			continue
		}
		for _, request := range asked {
			if request.leaves {
				f.takeLeave()
				defer close(request.done)
				return
			}
			close(request.done)
		}
		select {
		case <-f.wakes:
		case <-time.After(flushPeriod):
		case <-ctx.Done():
		}
	}
}

// takeLeave takes the process out of the registry. The beat would expire by itself, too.
func (f *flusher) takeLeave() {
	if f.connection != nil {
		_, _ = f.connection.client.Do("DEL", beatKey(f.settings))
	}
}

// pause lets some time pass before the next attempt. Stamps keep gathering meanwhile, and who asked keeps waiting.
func (f *flusher) pause(ctx context.Context) {
	f.backoff *= 2
	if f.backoff < shortestBackoff {
		f.backoff = shortestBackoff
	}
	if f.backoff > longestBackoff {
		f.backoff = longestBackoff
	}
	select {
	case <-time.After(f.backoff):
	case <-ctx.Done():
	}
}

// flush writes what has gathered; false when the log store is away.
func (f *flusher) flush(ctx context.Context) bool {
	// Counts are read before the stamps are taken: a message that is counted in the log store then has its stamp there, too, and
	// whoever waits for the counts finds the stamps complete.
	changed := f.books.changed()
	marks := f.books.take()
	isBeatDue := LocalNow() >= f.beatAt
	if len(changed) == 0 && len(marks) == 0 && !isBeatDue {
		f.books.done(marks)
		return true
	}
	if err := f.connect(ctx); err != nil {
		f.books.putBack(marks)
		return f.failed(ctx, err)
	}
	if err := f.write(marks, changed, isBeatDue); err != nil {
		f.disconnect()
		return f.failed(ctx, err)
	}
	f.books.confirm(changed)
	f.books.done(marks)
	if isBeatDue {
		f.beatAt = LocalNow() + Moment(beatEvery)
	}
	if f.backoff > 0 {
		f.settings.OnWarning(fmt.Sprintf("the log store at %s is back", f.settings.address.shown))
	}
	f.backoff = 0
	return true
}

func (f *flusher) failed(ctx context.Context, err error) bool {
	// Told once, and not at each further attempt.
	if f.backoff == 0 && ctx.Err() == nil {
		f.settings.OnWarning(fmt.Sprintf("stamps and counts wait: redis at %s: %v", f.settings.address.shown, err))
	}
	return false
}

func (f *flusher) connect(ctx context.Context) error {
	if f.connection != nil && f.connection.client.Err() == nil {
		return nil
	}
	f.disconnect()
	opened, err := f.settings.address.connect(ctx, flushPatience)
	if err != nil {
		return err
	}
	// Loaded, and called by their hashes: a user of the log store may well have the right to EVALSHA, and none to EVAL.
	for _, script := range []*redis.Script{stampScript, place} {
		if err := script.Load(opened.client); err != nil {
			opened.close()
			return err
		}
	}
	f.connection = opened
	f.books.writeAllAgain()
	return nil
}

func (f *flusher) disconnect() {
	f.connection.close()
	f.connection = nil
}
