package stampede

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// How often stamps and counts are written. The disciplined clock knows an event's time whenever it is written, so that stamps may
	// gather. Plain stamps are written at once.
	flushPeriod = 100 * time.Millisecond
	// Stamps per call of the script: Redis serves nobody else while it runs.
	stampsPerCall = 64
	// How long a connection and an answer may take: a stall of two seconds means that Redis is away.
	flushPatience = 2 * time.Second
	// How long the first flush waits for the clock: stamps from before it is known can then be told in Redis time, too.
	clockWithin = 2 * time.Second

	shortestBackoff = 50 * time.Millisecond
	longestBackoff  = 2 * time.Second
)

// ending matches answers that say "not me any more": another server may have taken over, or this one has begun anew. The command has had
// no effect.
var ending = regexp.MustCompile(
	`^(NOSCRIPT|READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOAUTH|WRONGPASS|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN)\b`)

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
	ended      sync.WaitGroup

	mutex sync.Mutex // guards what follows
	asked []request
}

// request asks for a flush, and where it leaves, to sign off after it.
type request struct {
	done   chan struct{}
	leaves bool
}

func startFlusher(ctx context.Context, settings *settings, books *books, clock *redisClock) *flusher {
	f := &flusher{settings: settings, books: books, clock: clock, beatAt: LocalNow(), wakes: make(chan struct{}, 1)}
	f.ended.Add(1)
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
	defer f.ended.Done()
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

// write writes stamps in several calls, counts and the beat with the last of them: who finds a message counted finds it stamped.
func (f *flusher) write(marks []mark, changed []changedBook, isBeatDue bool) error {
	// One state of the clock for the whole flush: all its event times are told in one time scale.
	var clock *clockState
	if f.clock != nil {
		clock = f.clock.state.Load()
	}
	var number int64
	if clock != nil {
		var err error
		if number, err = f.scale.number(clock, isBeatDue, f.connection.client, f.settings.Expire); err != nil {
			f.books.putBack(marks)
			return err
		}
	}
	names := *f.books.names.Load()
	for {
		batch := marks
		if len(batch) > stampsPerCall {
			batch = batch[:stampsPerCall]
		}
		marks = marks[len(batch):]
		var commands []command
		if len(batch) > 0 {
			arguments := stampArguments(batch, names, clock, number, f.settings.Expire)
			commands = append(commands, command{"EVALSHA", arguments})
		}
		if len(marks) == 0 {
			commands = append(commands, f.countCommands(changed, names)...)
			if isBeatDue {
				commands = append(commands, f.beatCommands(names, clock)...)
			}
		}
		if err := f.runBatch(commands, batch, marks); err != nil {
			return err
		}
		if len(marks) == 0 {
			return nil
		}
	}
}

type command struct {
	name      string
	arguments []interface{}
}

// sendAll sends commands together, and gives the refusal of each, if there is one. An error says that the connection has failed, and
// nobody knows which of them have been done.
func (f *flusher) sendAll(commands []command) (refusals []error, err error) {
	for _, command := range commands {
		if err := f.connection.client.Send(command.name, command.arguments...); err != nil {
			return nil, err
		}
	}
	if err := f.connection.client.Flush(); err != nil {
		return nil, err
	}
	for range commands {
		_, err := f.connection.client.Receive()
		var refusal redis.Error
		if err != nil && !errors.As(err, &refusal) {
			return nil, err
		}
		refusals = append(refusals, err)
	}
	return refusals, nil
}

// runBatch has one batch of stamps written. On an error the connection is of no more use, and each stamp has its place in the books
// again.
func (f *flusher) runBatch(commands []command, batch, rest []mark) error {
	refusals, err := f.sendAll(commands)
	if err != nil {
		// Whether Redis has these stamps is unknown. Writing them again could make two stamps of one, which would look like a duplicate
		// message; so they are counted as dropped.
		f.books.drop(batch...)
		f.books.putBack(rest)
		return err
	}
	again := rest
	if len(batch) > 0 && refusals[0] != nil {
		if ending.MatchString(refusals[0].Error()) {
			// These have not been written: they wait for the next connection, which loads the script.
			again = append(append([]mark{}, batch...), rest...)
		} else {
			f.books.drop(batch...)
		}
	}
	for _, refusal := range refusals {
		if refusal != nil && ending.MatchString(refusal.Error()) {
			// Another server may have taken over.
			if f.clock != nil {
				f.clock.looksAgain.Store(true)
			}
			f.books.putBack(again)
			return refusal
		}
	}
	// A key of the wrong type, which anybody can make, is to spoil nothing but its own run.
	for _, refusal := range refusals {
		if refusal != nil {
			f.settings.OnWarning(fmt.Sprintf("not all stamps and counts could be written: %v", refusal))
		}
	}
	return nil
}

// countCommands set this process's own fields to its totals: unlike an increment, that may be repeated without harm.
func (f *flusher) countCommands(changed []changedBook, names []name) (commands []command) {
	for _, of := range changed {
		key := "trace:" + of.book.run + ":counts"
		writer := "@" + f.settings.instance + "." + strconv.FormatUint(of.book.edition, 10)
		fields := []interface{}{key}
		for slot, name := range names {
			if count := of.totals[slot]; count > 0 {
				fields = append(fields, name.text+writer, count)
			}
			if dropped := of.totals[slots+slot]; dropped > 0 {
				fields = append(fields, "dropped."+name.text+writer, dropped)
			}
		}
		expiry := command{"EXPIRE", []interface{}{key, seconds(f.settings.Expire)}}
		commands = append(commands, command{"HSET", fields}, expiry)
	}
	return commands
}

// beatCommands beat, and keep the list of clock steps alive: its length numbers the time scales, so that it must not expire while a
// process remembers it.
func (f *flusher) beatCommands(names []name, clock *clockState) []command {
	document := beatDocument(f.settings, names, clock)
	return []command{
		{"SET", []interface{}{beatKey(f.settings), document, "EX", seconds(heardFor)}},
		{"EXPIRE", []interface{}{clockSteps, seconds(f.settings.Expire)}},
	}
}
