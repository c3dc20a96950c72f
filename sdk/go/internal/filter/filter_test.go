package filter

import (
	"math/rand"
	"testing"
)

const (
	ms      = 1_000_000
	startNs = 1_763_000_000_000_000_000
)

// clock is that of a Redis server: it drifts, and is set once.
type clock struct{ driftPpm, stepAt, stepNs int64 }

func (c clock) ns(local int64) int64 {
	ns := startNs + local + local/1_000_000*c.driftPpm
	if local >= c.stepAt {
		ns += c.stepNs
	}
	return ns
}

// probe takes so long there and back, ns.
func (c clock) probe(sent, there, back int64) Probe {
	return Probe{SentNs: sent, ReceivedNs: sent + there + back, RedisUs: c.ns(sent+there) / 1000}
}

// off is the error of the filter at a local time, and the bound that it states.
func (c clock) off(f *Filter, local int64) (off, bound int64) {
	line, _ := f.Line()
	ns, bound := line.RedisNs(local)
	if off = ns - c.ns(local); off < 0 {
		off = -off
	}
	return off, bound
}

func TestOneProbeGivesTheMiddleOfItsRoundTrip(t *testing.T) {
	var f Filter
	if _, isKnown := f.Line(); isKnown {
		t.Error("known before the first probe")
	}
	f.Add(Probe{0, 40_000, 5_000})
	line, _ := f.Line()
	if ns, bound := line.RedisNs(20_000); ns != 5_000_500 || bound < 20_500 || bound > 20_600 {
		t.Error(ns, bound)
	}
}

func TestTheDriftIsLearned(t *testing.T) {
	for _, driftPpm := range []int64{-100, -37, 0, 42, 100} {
		c, f := clock{driftPpm: driftPpm}, Filter{}
		for tick := int64(0); tick < 300; tick++ {
			f.Add(c.probe(tick*100*ms, 15_000, 15_000))
		}
		line, _ := f.Line()
		if off := line.Drift*1e6 - float64(driftPpm); off > 0.2 || off < -0.2 || line.DriftError > 5e-6 {
			t.Errorf("%d: %+v", driftPpm, line)
		}
	}
}

func TestTheBoundHoldsWhateverTheDelays(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	delay := func() int64 {
		return []int64{10_000 + random.Int63n(50_000), 10_000 + random.Int63n(50_000), random.Int63n(2 * ms), random.Int63n(80 * ms)}[random.Intn(4)]
	}
	for round := 0; round < 100; round++ {
		c, f := clock{driftPpm: random.Int63n(201) - 100}, Filter{}
		now := int64(0)
		for number := 0; number < 300; number++ {
			there, back := delay(), delay()
			if verdict, _ := f.Add(c.probe(now, there, back)); verdict != Agrees {
				t.Fatal(verdict)
			}
			for _, moment := range []int64{now - 50*ms, now + there, now + there + back + 100*ms} {
				if off, bound := c.off(&f, moment); off > bound {
					t.Fatalf("%d > %d", off, bound)
				}
			}
			now += there + back + random.Int63n(150*ms)
		}
	}
}

func TestAStepIsFoundAndMeasured(t *testing.T) {
	for _, size := range []int64{-3_600_000 * ms, -2 * ms, 2 * ms, 3_600_000 * ms} {
		c, f := clock{50, 950 * ms, size}, Filter{}
		for tick := int64(0); tick < 30; tick++ {
			verdict, step := f.Add(c.probe(tick*100*ms, 20_000, 20_000))
			if (verdict == Stepped) != (tick == 10) {
				t.Errorf("%d: %v at %d", size, verdict, tick)
			}
			if off := step.SizeUs - size/1000; verdict == Stepped && (off > 200 || off < -200) {
				t.Errorf("%d: %+v", size, step)
			}
			if off, bound := c.off(&f, tick*100*ms+40_000); off > bound || bound > 100_000 {
				t.Errorf("%d: %d %d", size, off, bound)
			}
		}
		if f.Steps() != 1 {
			t.Error(f.Steps())
		}
	}
}
