// Command enricher is an extra hop, written in Go: it moves messages from one Redis list to another and stamps each on its way.
//
//	go run . --redis redis://127.0.0.1:6379 --from stampede:queue --to stampede:enriched
package main

import (
	"bytes"
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"

	stampede "stampede/sdk/go"
)

const (
	stage = "enricher"
	// A pop for each message would cost a round trip for each, and cap the whole pipeline.
	batch = 64
	// A pop waits for so long for a message; a signal is noticed after it.
	wait = 500 * time.Millisecond
)

// enrich is the user's own work, here a new field. The other bytes stay as they are, numbers above all: the id must not change.
func enrich(body []byte) []byte {
	open := body[:bytes.LastIndexByte(body, '}')]
	return append(open[:len(open):len(open)], `,"enriched":true}`...)
}

func stampedAndEnriched(body []byte, tracer *stampede.Tracer) []byte {
	envelope, err := stampede.ReadEnvelope(body)
	if err != nil {
		// What one sender got wrong ends no service: it is counted and passed on unchanged.
		tracer.Count("garbage", 1, stampede.Adhoc)
		return body
	}
	tracer.Stamp(stage, envelope.ID, envelope.Run)
	return enrich(body)
}

// queue is a connection that is made anew when it has broken. While Redis is away, commands are tried again for as long as it takes. A
// connection that breaks in the middle may lose what a pop had taken, or forward a batch twice; the sweep counts either, as "lost" and
// as "duplicates".
type queue struct {
	url    string
	client redis.Conn
}

func (q *queue) do(command string, arguments ...interface{}) (interface{}, error) {
	for {
		if q.client == nil || q.client.Err() != nil {
			client, err := redis.DialURL(q.url, redis.DialConnectTimeout(time.Second))
			if err != nil {
				log.Printf("redis is away: %v: trying again", err)
				time.Sleep(200 * time.Millisecond)
				continue
			}
			q.client = client
		}
		answer, err := q.client.Do(command, arguments...)
		if q.client.Err() == nil {
			return answer, err
		}
		log.Printf("the connection has broken: %v: trying again", err)
	}
}

// pop takes the oldest messages, which are at the right end.
func (q *queue) pop(key string) ([][]byte, error) {
	popped, err := redis.Values(q.do("BLMPOP", wait.Seconds(), 1, key, "RIGHT", "COUNT", batch))
	if err == redis.ErrNil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return redis.ByteSlices(popped[1], nil)
}

func main() {
	url := flag.String("redis", "redis://127.0.0.1:6379", "`URL` of the Redis server that holds the queues")
	logStore := flag.String("log-store", "", "`URL` of the one that takes the stamps (default: the same)")
	from := flag.String("from", "stampede:queue", "`KEY` of the list to take messages from")
	to := flag.String("to", "stampede:enriched", "`KEY` of the list to put them on")
	every := flag.Uint64("every", 100, "stamp 1 message in `N`")
	flag.Parse()
	if *logStore == "" {
		*logStore = *url
	}
	tracer, err := stampede.Start(*logStore, stampede.Options{Service: "enricher", Stages: []string{stage}, Every: *every})
	if err != nil {
		log.Fatal(err)
	}
	// Finishes the batch in hand; a second signal ends the process at once.
	stopping, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopping.Done()
		stop()
	}()
	log.Printf("messages go from %s to %s", *from, *to)
	failed := run(stopping, &queue{url: *url}, *from, *to, tracer)
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	unwritten := tracer.Close(within)
	cancel()
	if unwritten > 0 {
		log.Printf("%d stamps could not be written", unwritten)
	}
	if failed != nil {
		log.Fatal(failed)
	}
}

func run(stopping context.Context, queue *queue, from, to string, tracer *stampede.Tracer) error {
	for stopping.Err() == nil {
		bodies, err := queue.pop(from)
		if err != nil {
			return err
		}
		if len(bodies) == 0 {
			continue
		}
		// Stamped before it is forwarded: the next service may have a message before this one hears that Redis took it.
		push := redis.Args{to}
		for _, body := range bodies {
			push = append(push, stampedAndEnriched(body, tracer))
		}
		if _, err := queue.do("LPUSH", push...); err != nil {
			return err
		}
	}
	return nil
}
