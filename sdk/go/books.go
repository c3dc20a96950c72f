package stampede

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Stages and counters that one process can tell apart.
	slots = 32
	// A run that nothing has touched for so long is forgotten. Should it come back, it is counted under a new field.
	forgetAfter = 10 * time.Minute
	// Runs that one process keeps books of. Beyond it, those that have been still for longest are forgotten sooner, so that clients
	// who name a new run in each message cannot fill the memory.
	mostRuns = 4096
	// This bit of a total says that its book has been forgotten: what is added then is to be added to a new one.
	forgotten = 1 << 63
)

// mark is one sampled message at one stage.
type mark struct {
	book *book
	slot int
	id   uint64
	at   Moment
}

// totals are the counts of a book by slot, and behind them the stamps dropped.
type totals [2 * slots]uint64

// book has one run's totals since this process first saw it.
type book struct {
	run string
	// Which of this process's books of this run it is: see forgetAfter.
	edition uint64
	totals  [2 * slots]atomic.Uint64
	// What of it the log store has, and when it last had less. The books' mutex guards both.
	written totals
	touched Moment
}

// add adds to a total; false where the book has been forgotten.
func (b *book) add(cell int, by uint64) bool {
	return b.totals[cell].Add(by)&forgotten == 0
}

func (b *book) read() (now totals) {
	for cell := range b.totals {
		now[cell] = b.totals[cell].Load()
	}
	return now
}

// close forgets the book, unless something has been added that the log store does not have.
func (b *book) close() bool {
	for cell := range b.totals {
		if b.totals[cell].CompareAndSwap(b.written[cell], b.written[cell]|forgotten) {
			continue
		}
		for opened := 0; opened < cell; opened++ {
			// What was added meanwhile is added again by who added it, in vain.
			b.totals[opened].Store(b.written[opened])
		}
		return false
	}
	return true
}

// name is what a slot counts.
type name struct {
	text    string
	isStage bool
}

// books are all runs of one process, and the stamps that wait.
type books struct {
	// Copied at each change, so that it is read without a lock.
	names atomic.Pointer[[]name]
	// Stamps that have been dropped, over all runs.
	dropped  atomic.Uint64
	last     atomic.Pointer[book]
	capacity int

	mutex    sync.Mutex // guards what follows, and changes of names and last
	byRun    map[string]*book
	editions uint64

	queue   sync.Mutex // guards what follows
	waiting []mark
	// Room for the stamps to come: what take gave, once it has been written.
	spare []mark
}

func newBooks(capacity int) *books {
	b := &books{capacity: capacity, byRun: map[string]*book{}}
	b.names.Store(&[]name{})
	return b
}

// slot gives the slot of a stage or counter; it is an error where that is none, and beyond 32.
func (b *books) slot(text string, isStage bool) (int, error) {
	if slot := find(*b.names.Load(), text); slot >= 0 {
		return slot, nil
	}
	check := checkCounter
	if isStage {
		check = checkStage
	}
	if err := check(text); err != nil {
		return 0, err
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	names := *b.names.Load()
	if slot := find(names, text); slot >= 0 {
		return slot, nil
	}
	if len(names) == slots {
		return 0, fmt.Errorf("%s: one process may use at most %d stages and counters", text, slots)
	}
	grown := append(append([]name{}, names...), name{text, isStage})
	b.names.Store(&grown)
	return len(names), nil
}

func find(names []name, text string) int {
	for slot := range names {
		if names[slot].text == text {
			return slot
		}
	}
	return -1
}

// open gives the book of a run, a new one if need be. The run has been checked.
func (b *books) open(run string) *book {
	// Messages come in long rows of the same run.
	if last := b.last.Load(); last != nil && last.run == run {
		return last
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	opened := b.byRun[run]
	if opened == nil {
		opened = &book{run: run, edition: b.editions, touched: LocalNow()}
		b.editions++
		b.byRun[run] = opened
	}
	b.last.Store(opened)
	return opened
}

func (b *books) count(book *book, slot int, by uint64) {
	for !book.add(slot, by) {
		book = b.open(book.run)
	}
}

func (b *books) drop(marks ...mark) {
	for _, mark := range marks {
		b.count(mark.book, slots+mark.slot, 1)
	}
	b.dropped.Add(uint64(len(marks)))
}

// push queues a stamp, or drops and counts it when the buffer is full.
func (b *books) push(mark mark) {
	b.queue.Lock()
	isFull := len(b.waiting) >= b.capacity
	if !isFull {
		b.waiting = append(b.waiting, mark)
	}
	b.queue.Unlock()
	if isFull {
		b.drop(mark)
	}
}

// take takes every stamp that waits.
func (b *books) take() []mark {
	b.queue.Lock()
	defer b.queue.Unlock()
	taken := b.waiting
	b.waiting, b.spare = b.spare[:0], nil
	return taken
}

// done gives back the room of stamps that were taken.
func (b *books) done(marks []mark) {
	b.queue.Lock()
	defer b.queue.Unlock()
	if cap(marks) > cap(b.spare) {
		b.spare = marks[:0]
	}
}

// putBack puts stamps that could not be written back in front, as far as there is room.
func (b *books) putBack(marks []mark) {
	b.queue.Lock()
	room := b.capacity - len(b.waiting)
	if room > len(marks) {
		room = len(marks)
	}
	b.waiting = append(append(make([]mark, 0, room+len(b.waiting)), marks[:room]...), b.waiting...)
	b.queue.Unlock()
	b.drop(marks[room:]...)
}

// changedBook is a book with its totals at one moment.
type changedBook struct {
	book   *book
	totals totals
}

// changed gives the books whose totals the log store does not have yet.
func (b *books) changed() (changed []changedBook) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, book := range b.byRun {
		if now := book.read(); now != book.written {
			book.touched = LocalNow()
			changed = append(changed, changedBook{book, now})
		}
	}
	return changed
}

// writeAllAgain is for when another log store may have taken over, or the same one begun anew, without the newest of what was
// confirmed.
func (b *books) writeAllAgain() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, book := range b.byRun {
		book.written = totals{}
	}
}

// confirm notes that the log store has these totals, and forgets runs that have long been still.
func (b *books) confirm(changed []changedBook) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, written := range changed {
		written.book.written = written.totals
	}
	tooMany := len(b.byRun) - mostRuns
	oldest := b.touchedBefore(tooMany)
	now := LocalNow()
	for run, book := range b.byRun {
		isCrowded := tooMany > 0 && book.touched <= oldest
		if !isCrowded && now-book.touched <= Moment(forgetAfter) || !book.close() {
			continue
		}
		delete(b.byRun, run)
		b.last.CompareAndSwap(book, nil)
		if isCrowded {
			tooMany--
		}
	}
}

// touchedBefore is the moment up to which the given number of runs have been touched last.
func (b *books) touchedBefore(number int) Moment {
	if number <= 0 {
		return 0
	}
	touched := make([]Moment, 0, len(b.byRun))
	for _, book := range b.byRun {
		touched = append(touched, book.touched)
	}
	sort.Slice(touched, func(i, j int) bool { return touched[i] < touched[j] })
	return touched[number-1]
}

// waits tells how many stamps wait.
func (b *books) waits() int {
	b.queue.Lock()
	defer b.queue.Unlock()
	return len(b.waiting)
}
