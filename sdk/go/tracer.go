package stampede

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"
)

// ClockMode is how event times come about.
type ClockMode string

const (
	// Disciplined tells Redis time at the event, with a bound of the error.
	Disciplined ClockMode = "disciplined"
	// Plain takes Redis TIME when the log store takes the stamp for the event's time; nothing bounds the error.
	Plain ClockMode = "plain"
)

// Options of a [Tracer]. Only Service has to be given.
type Options struct {
	// Service is the name under which the process registers.
	Service string
	// Stages are those that this process stamps: 1 to 32 characters of [a-z0-9_-], starting with a letter.
	Stages []string
	// Every samples 1 message in N: those with id % N == 0. It must be the same in all services. Default: 100.
	Every uint64
	// Version is the service's, for people who look at what runs. Default: that of this SDK.
	Version string
	// Clock is Disciplined unless set.
	Clock ClockMode
	// Expire is how long keys live after their last write. Default: 24 hours.
	Expire time.Duration
	// Buffer is how many stamps may wait for the log store; more are dropped, and counted as dropped.<stage>. Default: 131072.
	Buffer int
	// CAFile has the authorities (PEM) to trust in place of the system's, for rediss.
	CAFile string
	// OnWarning takes what goes wrong, in a sentence without secrets. Default: the standard logger.
	OnWarning func(warning string)
}

// settings are options with nothing left open.
type settings struct {
	Options
	address *address
	// No other process ever has it, so that its counters can be set to totals.
	instance string
}

// Tracer is a process's part in tracing. Goroutines may share it. No method waits for the log store but Flush and Close.
type Tracer struct {
	settings *settings
	books    *books
	// Absent where stamps are plain.
	clock   *redisClock
	flusher *flusher
	end     context.CancelFunc
	closing sync.Once
}

// Start starts writing to the log store, which need not be there yet, at redis://[user:password@]host:port[/db], the same with
// rediss:// for TLS, or redis+unix:///path[?db=…&user=…&pass=…]. It is an error when the address or an option is wrong.
func Start(url string, options Options) (*Tracer, error) {
	settings, err := settle(url, options)
	if err != nil {
		return nil, err
	}
	books := newBooks(settings.Buffer)
	for _, stage := range settings.Stages {
		if _, err := books.slot(stage, true); err != nil {
			return nil, err
		}
	}
	ctx, end := context.WithCancel(context.Background())
	tracer := &Tracer{settings: settings, books: books, end: end}
	if settings.Clock == Disciplined {
		tracer.clock = startClock(ctx, settings.address, settings.OnWarning)
	}
	tracer.flusher = startFlusher(ctx, settings, books, tracer.clock)
	return tracer, nil
}

// Stamp stamps a message at a stage, now: it is counted always, and written when sampled. The run is that of the envelope; "" is
// "adhoc".
//
// It panics where the stage's name is none, and where one process uses more than 32 stages and counters. A message with an id or a
// run that no envelope has is counted as "garbage" instead.
func (t *Tracer) Stamp(stage string, id uint64, run string) {
	// The clock is read only where the reading is used.
	var at Moment
	if id%t.settings.Every == 0 {
		at = LocalNow()
	}
	t.StampAt(stage, id, run, at)
}

// StampAt stamps a message that passed the stage at the given moment of [LocalNow]; else it is as Stamp.
func (t *Tracer) StampAt(stage string, id uint64, run string, at Moment) {
	slot := t.slot(stage, true)
	book := t.open(run)
	if id > MaxID || book == nil {
		t.refuse(id, run)
		return
	}
	if id%t.settings.Every == 0 {
		t.books.push(mark{book, slot, id, at})
		if t.clock == nil {
			t.flusher.wake()
		}
	}
	// After the stamp: whoever sees the count also sees the stamp.
	t.books.count(book, slot, 1)
}

// Count adds to a counter that is no stage, such as "garbage". It panics where the counter's name is none, and where one process uses
// more than 32 stages and counters.
func (t *Tracer) Count(name string, by uint64, run string) {
	slot := t.slot(name, false)
	if book := t.open(run); book != nil {
		t.books.count(book, slot, by)
		return
	}
	t.refuse(0, run)
}

// Now is Redis time at this moment; false before the clock's first probe, and with plain stamps.
func (t *Tracer) Now() (RedisTime, bool) {
	if t.clock == nil {
		return RedisTime{}, false
	}
	state := t.clock.state.Load()
	if state == nil {
		return RedisTime{}, false
	}
	return state.at(LocalNow()), true
}

// Dropped is how many stamps were dropped so far: the buffer was full, or their writing was not confirmed.
func (t *Tracer) Dropped() uint64 {
	return t.books.dropped.Load()
}

// Flush waits until everything that was stamped and counted before, and the process's registration, is in the log store. It is an error
// where the context ends first.
func (t *Tracer) Flush(ctx context.Context) error {
	return t.wait(ctx, false)
}

// Close writes what is left, signs off, and ends; it tries until the context ends. It tells how many stamps the log store is not known
// to have: dropped ones, and those that still waited. Whatever is stamped later is not written.
func (t *Tracer) Close(ctx context.Context) (unwritten uint64) {
	t.closing.Do(func() {
		_ = t.wait(ctx, true) // What is unwritten is told below.
		t.end()
		<-t.flusher.ended
		if t.clock != nil {
			t.clock.ended.Wait()
		}
	})
	return t.books.dropped.Load() + uint64(t.books.waits())
}

func (t *Tracer) wait(ctx context.Context, leaves bool) error {
	done := t.flusher.ask(leaves)
	select {
	case <-done:
		return nil
	case <-t.flusher.ended:
	case <-ctx.Done():
		return fmt.Errorf("not everything is in the log store yet: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	default:
		return errors.New("the tracer is closed")
	}
}

func (t *Tracer) slot(text string, isStage bool) int {
	slot, err := t.books.slot(text, isStage)
	if err != nil {
		panic("stampede: " + err.Error())
	}
	return slot
}

// open gives the book of a run; nil where that is none.
func (t *Tracer) open(run string) *book {
	if run == "" {
		run = Adhoc
	}
	if last := t.books.last.Load(); last != nil && last.run == run {
		return last
	}
	if checkRun(run) != nil {
		return nil
	}
	return t.books.open(run)
}

// refuse counts what was wrong about one message, which is to end no process.
func (t *Tracer) refuse(id uint64, run string) {
	if err := checkRun(run); run != "" && err != nil {
		t.settings.OnWarning(err.Error())
	} else {
		t.settings.OnWarning(fmt.Sprintf("id %d is out of range: the largest is %d (2^53 - 1)", id, uint64(MaxID)))
	}
	t.Count("garbage", 1, Adhoc)
}

func settle(url string, options Options) (*settings, error) {
	address, err := parseAddress(url, options.CAFile)
	if err != nil {
		return nil, err
	}
	if options.Every == 0 {
		options.Every = 100
	}
	if options.Version == "" {
		options.Version = Version
	}
	if options.Clock == "" {
		options.Clock = Disciplined
	}
	if options.Expire == 0 {
		options.Expire = 24 * time.Hour
	}
	if options.Buffer == 0 {
		options.Buffer = 1 << 17
	}
	if options.OnWarning == nil {
		options.OnWarning = func(warning string) { log.Print("stampede: ", warning) }
	}
	switch {
	case options.Service == "" || strings.Contains(options.Service, ":"):
		return nil, errors.New("Options.Service: give the name of the service, without a colon")
	case options.Clock != Disciplined && options.Clock != Plain:
		return nil, fmt.Errorf("Options.Clock: %q is neither %q nor %q", options.Clock, Disciplined, Plain)
	case options.Expire < time.Second:
		return nil, fmt.Errorf("Options.Expire: %v is less than a second", options.Expire)
	case options.Buffer < 0:
		return nil, fmt.Errorf("Options.Buffer: %d is no number of stamps", options.Buffer)
	}
	var unique [8]byte
	if _, err := rand.Read(unique[:]); err != nil {
		return nil, fmt.Errorf("no name that is only this process's: %w", err)
	}
	instance := fmt.Sprintf("%d-%s", os.Getpid(), hex.EncodeToString(unique[:]))
	return &settings{Options: options, address: address, instance: instance}, nil
}
