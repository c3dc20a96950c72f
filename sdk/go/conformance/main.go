//go:build linux

// Command conformance does what the suite that all SDKs share (sdk/conformance) asks of this one:
//
//	hop       moves messages from one list to another, and stamps them
//	clock     asks for Redis time, and tells the local time around each answer
//	cost      measures what a stamp costs
//	envelope  reads messages, one in base64 a line
//	filter    feeds probes to the clock filter
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	stampede "stampede/sdk/go"
	"stampede/sdk/go/internal/filter"
)

type options struct {
	redis, queue, from, to, stage, clock, service string
	every                                         uint64
	seconds                                       float64
	busy                                          bool
	messages, rounds                              int
}

func main() {
	log.SetFlags(0)
	programs := map[string]func(options) error{
		"hop": hop, "clock": clock, "cost": cost, "envelope": envelope, "filter": runFilter,
	}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "conformance: name one of hop, clock, cost, envelope, filter")
		os.Exit(2)
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.redis, "redis", "redis://127.0.0.1:6379", "the log store")
	flags.StringVar(&o.queue, "queue", "redis://127.0.0.1:6379", "holds the lists")
	flags.StringVar(&o.from, "from", "", "the list that messages are taken from")
	flags.StringVar(&o.to, "to", "", "the list that they are put on")
	flags.StringVar(&o.stage, "stage", "", "the stage to stamp")
	flags.StringVar(&o.clock, "clock", "disciplined", "disciplined or plain")
	flags.StringVar(&o.service, "service", "conformance", "the name to register under")
	flags.Uint64Var(&o.every, "every", 100, "stamp 1 message in N")
	flags.Float64Var(&o.seconds, "seconds", 1, "how long")
	flags.BoolVar(&o.busy, "busy", false, "keep all processors busy meanwhile")
	flags.IntVar(&o.messages, "messages", 100_000, "messages in a round")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds")
	_ = flags.Parse(os.Args[2:]) // It ends the process itself where they are wrong.
	if err := programs[os.Args[1]](o); err != nil {
		log.Fatal("conformance: ", err)
	}
}

func start(o options, stage string) (*stampede.Tracer, error) {
	tracer, err := stampede.Start(o.redis, stampede.Options{
		Service: o.service, Stages: []string{stage}, Every: o.every, Clock: stampede.ClockMode(o.clock),
	})
	if err != nil {
		return nil, err
	}
	// A log store that does not let it in keeps no message from passing.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := tracer.Flush(ctx); err != nil {
		log.Print(err)
	}
	return tracer, nil
}

// end closes a tracer within five seconds.
func end(tracer *stampede.Tracer) uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return tracer.Close(ctx)
}

func envelope(options) error {
	return forEachLine(func(line []byte) (interface{}, error) {
		body, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil {
			return nil, err
		}
		read, err := stampede.ReadEnvelope(body)
		if err != nil {
			return map[string]interface{}{"error": err.Error()}, nil
		}
		return map[string]interface{}{"id": read.ID, "run": read.Run}, nil
	})
}

func runFilter(options) error {
	return forEachLine(func(line []byte) (interface{}, error) {
		var told struct {
			Probes [][3]int64 `json:"probes"`
			Ask    []int64    `json:"ask"`
		}
		if err := json.Unmarshal(line, &told); err != nil {
			return nil, err
		}
		var probes filter.Filter
		for _, probe := range told.Probes {
			probes.Add(filter.Probe{SentNs: probe[0], ReceivedNs: probe[1], RedisUs: probe[2]})
		}
		fitted, _ := probes.Line()
		answers := [][2]int64{}
		for _, local := range told.Ask {
			ns, errorNs := fitted.RedisNs(local)
			answers = append(answers, [2]int64{ns - 1000*told.Probes[0][2], errorNs})
		}
		return map[string]interface{}{"steps": probes.Steps(), "answers": answers}, nil
	})
}

// forEachLine prints what the work makes of each line on stdin.
func forEachLine(work func([]byte) (interface{}, error)) error {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			result, workError := work(bytes.TrimSuffix(line, []byte("\n")))
			if workError != nil {
				return workError
			}
			if printError := json.NewEncoder(out).Encode(result); printError != nil {
				return printError
			}
		}
		if err != nil {
			return nil // The end.
		}
	}
}
