package stampede

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func newTestBooks(t *testing.T, capacity int) (*books, int) {
	t.Helper()
	b := newBooks(capacity)
	slot, err := b.slot("s", true)
	if err != nil {
		t.Fatal(err)
	}
	return b, slot
}

// written sums what was written of one slot, and counts it as written.
func written(b *books, slot int) (sum uint64) {
	changed := b.changed()
	for _, of := range changed {
		sum += of.totals[slot]
	}
	b.confirm(changed)
	return sum
}

func TestWhatDoesNotFitTheBufferIsDroppedAndCounted(t *testing.T) {
	b, slot := newTestBooks(t, 2)
	book := b.open("r")
	for id := uint64(0); id < 3; id++ {
		b.push(mark{book, slot, id, 0})
	}
	if b.waits() != 2 || b.dropped.Load() != 1 || written(b, slots+slot) != 1 {
		t.Errorf("%d wait, %d are dropped", b.waits(), b.dropped.Load())
	}
	marks := b.take()
	b.push(mark{book, slot, 3, 0})
	// There is room for one of the two that come back, in front of the one that came meanwhile.
	b.putBack(marks)
	left := b.take()
	if len(left) != 2 || left[0].id != 0 || left[1].id != 3 || b.dropped.Load() != 2 {
		t.Errorf("%v wait, %d are dropped", left, b.dropped.Load())
	}
}

func TestManyRunsDoNotFillTheMemoryAndNoCountIsLost(t *testing.T) {
	b, slot := newTestBooks(t, 1)
	var sum uint64
	for number := 0; number < 3*mostRuns; number++ {
		b.count(b.open(fmt.Sprintf("run-%d", number)), slot, 1)
		if number%1000 == 0 {
			sum += written(b, slot)
		}
	}
	sum += written(b, slot)
	if sum != 3*mostRuns || len(b.byRun) > mostRuns || written(b, slot) != 0 {
		t.Errorf("%d counted, %d runs kept", sum, len(b.byRun))
	}
}

func TestARunThatWasForgottenIsCountedUnderANewEdition(t *testing.T) {
	b, slot := newTestBooks(t, 1)
	first := b.open("r")
	b.count(first, slot, 1)
	written(b, slot)
	first.touched = -Moment(2 * forgetAfter)
	written(b, slot)
	// Who still holds the book counts in its successor.
	b.count(first, slot, 1)
	again := b.open("r")
	if again == first || again.edition == first.edition || written(b, slot) != 1 {
		t.Errorf("%v, then %v", first.edition, again.edition)
	}
}

func TestABookThatIsInUseIsNotForgotten(t *testing.T) {
	b, slot := newTestBooks(t, 1)
	book := b.open("r")
	book.touched = -Moment(2 * forgetAfter)
	changed := b.changed()
	b.count(book, slot, 1)
	b.confirm(changed)
	if b.open("r") != book || written(b, slot) != 1 {
		t.Error("a count was lost")
	}
}

// However runs are forgotten while others count: the sum over all editions is right.
func TestNoCountIsLostWhileRunsAreForgotten(t *testing.T) {
	b, slot := newTestBooks(t, 1)
	const workers, each = 4, 20_000
	var counting sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		counting.Add(1)
		go func() {
			defer counting.Done()
			for number := 0; number < each; number++ {
				b.count(b.open("r"), slot, 1)
				if number%10 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	var isDone atomic.Bool
	go func() { counting.Wait(); isDone.Store(true) }()
	newest := map[uint64]uint64{}
	for isLast := false; !isLast; {
		isLast = isDone.Load()
		changed := b.changed()
		for _, of := range changed {
			newest[of.book.edition] = of.totals[slot]
			of.book.touched = -Moment(2 * forgetAfter)
		}
		b.confirm(changed)
	}
	var sum uint64
	for _, total := range newest {
		sum += total
	}
	if sum != workers*each {
		t.Errorf("%d of %d, in %d editions", sum, workers*each, len(newest))
	}
	t.Logf("%d editions", len(newest))
}

func TestNames(t *testing.T) {
	for _, stage := range []string{"", "Caps", "1st", "counts", "a b", "abcdefghijklmnopqrstuvwxyz1234567"} {
		if checkStage(stage) == nil {
			t.Errorf("%q is a stage", stage)
		}
	}
	for _, run := range []string{"", "a b", "a:b", "ä", "service", "sweep", "clock"} {
		if checkRun(run) == nil {
			t.Errorf("%q is a run", run)
		}
	}
	b := newBooks(1)
	for number := 0; number < slots; number++ {
		if _, err := b.slot(fmt.Sprintf("s%d", number), true); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.slot("one-too-many", false); err == nil {
		t.Error("a 33rd name")
	}
}
