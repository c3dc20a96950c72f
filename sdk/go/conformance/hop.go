//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/signal"
	"syscall"

	"github.com/gomodule/redigo/redis"

	stampede "stampede/sdk/go"
)

const batchSize = 64

func hop(o options) error {
	queue, err := redis.DialURL(o.queue)
	if err != nil {
		return err
	}
	defer queue.Close()
	stopping := make(chan os.Signal, 1)
	signal.Notify(stopping, syscall.SIGTERM)
	tracer, err := start(o, o.stage)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]bool{"ready": true}); err != nil {
		return err
	}
	handled := 0
	for len(stopping) == 0 {
		bodies, err := pop(queue, o.from)
		if err != nil {
			return err
		}
		if len(bodies) == 0 {
			continue
		}
		push := redis.Args{o.to}
		for _, body := range bodies {
			stampOne(tracer, o.stage, body)
			push = append(push, body)
		}
		if _, err := queue.Do("LPUSH", push...); err != nil {
			return err
		}
		handled += len(bodies)
	}
	return out.Encode(map[string]uint64{"handled": uint64(handled), "unwritten": end(tracer)})
}

// pop takes the oldest messages, and waits for them for a short time: a signal is noticed after it.
func pop(queue redis.Conn, from string) ([][]byte, error) {
	popped, err := redis.Values(queue.Do("BLMPOP", 0.2, 1, from, "RIGHT", "COUNT", batchSize))
	if err == redis.ErrNil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return redis.ByteSlices(popped[1], nil)
}

func stampOne(tracer *stampede.Tracer, stage string, body []byte) {
	envelope, err := stampede.ReadEnvelope(body)
	if err != nil {
		tracer.Count("garbage", 1, stampede.Adhoc)
		return
	}
	tracer.Stamp(stage, envelope.ID, envelope.Run)
}
