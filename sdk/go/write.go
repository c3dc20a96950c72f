package stampede

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/gomodule/redigo/redis"
)

// Stamps per call of the script: Redis serves nobody else while it runs.
const stampsPerCall = 64

// ending matches answers that say "not me any more", or "not now": another server may have taken over, this one has begun anew, or has no
// room for the moment. The command has had no effect.
var ending = regexp.MustCompile(
	`^(NOSCRIPT|READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOAUTH|WRONGPASS|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF|BUSY|NOREPLICAS)\b`)

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
