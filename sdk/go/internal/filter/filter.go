// Package filter makes Redis time and a bound of its error from probes. Pure; it knows no socket and no clock. It is the filter of
// crates/stamp/src/clock/filter.rs, and docs/method.md has the method, the assumptions and the sources.
package filter

import "math"

const (
	// How long a probe stays in the window.
	windowNs = 30_000_000_000
	// The largest drift between two clocks that has to be reckoned with while it is not known, as a ratio.
	unknownDrift = 200e-6
	// How far the drift may wander in the time of one window, as a ratio.
	wander = 2e-6
	// The fastest change that is still the work of a clock discipline, as a ratio: a faster one is a step.
	fastestSlew = 1000e-6
	// The shortest time between two probes that tell the drift.
	driftBaseNs = 1_000_000_000
)

// Probe is one reading of Redis TIME between two of the local clock.
type Probe struct {
	// Local time before the command was sent, and after the answer was read.
	SentNs, ReceivedNs int64
	// What Redis said, µs since 1970-01-01 UTC.
	RedisUs int64
}

// bounds is the interval in which one probe has found the offset (Redis time less local time).
type bounds struct{ atNs, lowNs, highNs int64 }

// Step is how far the Redis clock was set, and the bound of its error.
type Step struct{ SizeUs, ErrorUs int64 }

// Verdict is what a probe has brought.
type Verdict int

const (
	// Agrees: with those before it.
	Agrees Verdict = iota
	// Drifted: it contradicts them by no more than a changed drift explains: they are forgotten.
	Drifted
	// Stepped: the Redis clock was set, and those before it are forgotten.
	Stepped
)

// Line is Redis time as a linear function of local time.
type Line struct {
	// The local time that the other fields hold for, Redis time less local time there, and the bound of its error.
	AtNs, OffsetNs, ErrorNs int64
	// How much faster the Redis clock runs, as a ratio, and the bound of its error.
	Drift, DriftError float64
}

// RedisNs is Redis time at a local time, and the bound of its error.
func (l Line) RedisNs(localNs int64) (ns, errorNs int64) {
	since := float64(localNs - l.AtNs)
	return localNs + l.OffsetNs + round(l.Drift*since), l.ErrorNs + round(math.Abs(l.DriftError*since))
}

// Filter has at most the probes of 30 s. The zero Filter is ready.
type Filter struct {
	window []bounds
	// The best that is known about the drift: it outlives the probes that told it, but grows less certain.
	rate  *rate
	line  *Line
	steps uint32
}

// rate is a drift, the bound of its error, and when it was found.
type rate struct {
	drift, error float64
	atNs         int64
}

func boundsOf(p Probe) bounds {
	roundTrip := p.ReceivedNs - p.SentNs
	// TIME is cut to whole microseconds: Redis read it up to 1 µs after what it says. And while the probe was under way the
	// clocks drifted apart.
	drifted := round(unknownDrift * float64(roundTrip))
	return bounds{
		atNs:   p.SentNs + roundTrip/2,
		lowNs:  p.RedisUs*1000 - p.ReceivedNs - drifted,
		highNs: p.RedisUs*1000 + 1000 - p.SentNs + drifted,
	}
}

func (b bounds) widthNs() int64  { return b.highNs - b.lowNs }
func (b bounds) middleNs() int64 { return b.lowNs + b.widthNs()/2 }

// Add takes a probe in. Probes come in the order of their SentNs.
func (f *Filter) Add(p Probe) (Verdict, Step) {
	b := boundsOf(p)
	verdict, size := f.judge(b)
	if verdict != Agrees {
		f.window = f.window[:0]
		f.rate = nil
	}
	if verdict == Stepped {
		f.steps++
	}
	f.window = append(f.window, b)
	old := 0
	for b.atNs-f.window[old].atNs > windowNs {
		old++
	}
	f.forget(old)
	fitted := f.fit(b.atNs)
	f.line = &fitted
	return verdict, size
}

// Line is Redis time as a function of local time; false before the first probe.
func (f *Filter) Line() (Line, bool) {
	if f.line == nil {
		return Line{}, false
	}
	return *f.line, true
}

// Steps is how often the Redis clock has been set.
func (f *Filter) Steps() uint32 {
	return f.steps
}

// forget drops the oldest probes.
func (f *Filter) forget(number int) {
	f.window = f.window[:copy(f.window, f.window[number:])]
}

func (f *Filter) judge(b bounds) (Verdict, Step) {
	if f.line == nil {
		return Agrees, Step{}
	}
	ns, errorNs := f.line.RedisNs(b.atNs)
	expected := ns - b.atNs
	gap := b.lowNs - (expected + errorNs)
	if below := expected - errorNs - b.highNs; below > gap {
		gap = below
	}
	newest := f.window[len(f.window)-1]
	switch {
	case gap <= 0:
		return Agrees, Step{}
	case float64(gap) <= fastestSlew*float64(b.atNs-newest.atNs):
		return Drifted, Step{}
	}
	return Stepped, Step{SizeUs: (b.middleNs() - expected) / 1000, ErrorUs: (errorNs+b.widthNs()/2)/1000 + 2}
}

// fit gives the line at the newest probe. Where the drift has changed too much for all probes to agree, the older half goes, until
// the rest Agrees; one probe always does.
func (f *Filter) fit(atNs int64) Line {
	for {
		drift, driftError := f.drift(atNs)
		low, high := int64(math.MinInt64), int64(math.MaxInt64)
		for _, b := range f.window {
			age := float64(atNs - b.atNs)
			if l := b.lowNs + round((drift-driftError)*age); l > low {
				low = l
			}
			if h := b.highNs + round((drift+driftError)*age); h < high {
				high = h
			}
		}
		if low <= high {
			half := (high - low) / 2
			return Line{AtNs: atNs, OffsetNs: low + half, ErrorNs: half + 1, Drift: drift, DriftError: driftError}
		}
		f.forget((len(f.window) + 1) / 2)
		f.rate = nil
	}
}

// drift gives the drift and the bound of its error: what the window tells, or what an earlier one told where that is still the more
// certain, as while all probes are slow.
func (f *Filter) drift(nowNs int64) (drift, driftError float64) {
	aged := func(r *rate) float64 { return r.error + wander*float64(nowNs-r.atNs)/windowNs }
	if told := f.rateOfWindow(nowNs); told != nil && (f.rate == nil || told.error <= aged(f.rate)) {
		f.rate = told
	}
	if f.rate != nil && aged(f.rate) < unknownDrift {
		return f.rate.drift, aged(f.rate)
	}
	return 0, unknownDrift
}

// rateOfWindow gives the drift from the narrowest probe of each half of the window.
func (f *Filter) rateOfWindow(nowNs int64) *rate {
	if len(f.window) == 0 {
		return nil
	}
	oldest, newest := f.window[0], f.window[len(f.window)-1]
	middle := oldest.atNs + (newest.atNs-oldest.atNs)/2
	var old, young *bounds
	for i := range f.window {
		half := &old
		if f.window[i].atNs > middle {
			half = &young
		}
		if *half == nil || f.window[i].widthNs() < (*half).widthNs() {
			*half = &f.window[i]
		}
	}
	if old == nil || young == nil {
		return nil
	}
	between := young.atNs - old.atNs
	if between < driftBaseNs {
		return nil
	}
	drift := float64(young.middleNs()-old.middleNs()) / float64(between)
	return &rate{drift: drift, error: float64(young.widthNs()+old.widthNs())/2/float64(between) + wander, atNs: nowNs}
}

// round rounds to whole nanoseconds; what is rounded here is far below the 2^53 up to which a float64 is exact.
func round(ns float64) int64 {
	return int64(math.Round(ns))
}
