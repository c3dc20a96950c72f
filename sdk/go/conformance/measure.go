//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	stampede "stampede/sdk/go"
)

// monotonic is CLOCK_MONOTONIC, ns: what other programs on this host read, too.
func monotonic() int64 {
	const clockMonotonic = 1
	var now syscall.Timespec
	// It cannot fail: the clock is there, and so is the memory.
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

func clock(o options) error {
	var isDone atomic.Bool
	for worker := 0; o.busy && worker < runtime.GOMAXPROCS(0); worker++ {
		go work(&isDone)
	}
	tracer, err := start(o, "clock")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	until := time.Now().Add(time.Duration(o.seconds * float64(time.Second)))
	for time.Now().Before(until) {
		before := monotonic()
		now, isKnown := tracer.Now()
		after := monotonic()
		if isKnown {
			told := map[string]int64{"before_ns": before, "us": now.Us, "error_us": now.ErrorUs, "after_ns": after}
			if err := lines.Encode(told); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	isDone.Store(true)
	end(tracer)
	return out.Flush()
}

// work keeps a processor and the garbage collector busy.
func work(isDone *atomic.Bool) {
	kept := []map[string]interface{}{}
	for !isDone.Load() {
		var message map[string]interface{}
		if json.Unmarshal([]byte(body(1)), &message) == nil {
			kept = append(kept, message)
		}
		if len(kept) > 1000 {
			kept = nil
		}
	}
}

func body(id int) string {
	return fmt.Sprintf(`{"id":%d,"run":"20261121-101500-k3f.c10","data":"%s"}`, id, strings.Repeat("x", 64))
}

func cost(o options) error {
	tracer, err := start(o, "cost")
	if err != nil {
		return err
	}
	bodies := make([][]byte, 1000)
	for id := range bodies {
		bodies[id] = []byte(body(id))
	}
	figures := map[string][]float64{"without_ns": {}, "with_ns": {}, "cpu_without_ns": {}, "cpu_with_ns": {}}
	for round := 0; round < o.rounds; round++ {
		for kind, tracer := range map[string]*stampede.Tracer{"without": nil, "with": tracer} {
			wall, cpu := load(tracer, bodies, o.messages)
			figures[kind+"_ns"] = append(figures[kind+"_ns"], wall)
			figures["cpu_"+kind+"_ns"] = append(figures["cpu_"+kind+"_ns"], cpu)
		}
	}
	end(tracer)
	return json.NewEncoder(os.Stdout).Encode(figures)
}

// load measures wall and CPU time per message, ns.
func load(tracer *stampede.Tracer, bodies [][]byte, messages int) (wall, cpu float64) {
	cpuBefore, begin := cpuTime(), time.Now()
	for done := 0; done < messages; done++ {
		envelope, err := stampede.ReadEnvelope(bodies[done%len(bodies)])
		if err == nil && tracer != nil {
			tracer.Stamp("cost", envelope.ID, envelope.Run)
		}
	}
	elapsed := time.Since(begin)
	// What was stamped in the measured time is also written in it.
	if tracer != nil {
		_ = tracer.Flush(context.Background()) // Without an end it fails never.
	}
	per := float64(messages)
	return float64(elapsed.Nanoseconds()) / per, float64(cpuTime()-cpuBefore) / per
}

func cpuTime() int64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // It fails for wrong arguments alone.
	return usage.Utime.Nano() + usage.Stime.Nano()
}
