package stampede

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

const patience = 10 * time.Second

// server is a private Redis server, on a socket in a folder of its own: no port can be taken.
type server struct {
	t       *testing.T
	folder  string
	options []string
	process *exec.Cmd
}

// startServer starts one; it ends with the test.
func startServer(t *testing.T, options ...string) *server {
	t.Helper()
	// The test's own folder can have a path too long for a socket.
	folder, err := os.MkdirTemp("", "stampede-")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, folder: folder, options: options}
	t.Cleanup(func() {
		s.stop()
		os.RemoveAll(folder)
	})
	s.restart()
	return s
}

func (s *server) url() string {
	return "redis+unix://" + filepath.Join(s.folder, "redis.sock")
}

// restart starts the server again, with nothing in it.
func (s *server) restart() {
	s.t.Helper()
	options := append([]string{"--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"}, s.options...)
	s.process = exec.Command("redis-server", options...)
	s.process.Dir = s.folder
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("redis-server does not start: is it installed? (scripts/setup) %v", err)
	}
	until(s.t, func() bool {
		client, err := redis.Dial("unix", filepath.Join(s.folder, "redis.sock"))
		if err != nil {
			return false
		}
		defer client.Close()
		_, err = client.Do("PING")
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH")
	})
}

func (s *server) stop() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// ask gives the answer to one command, by a connection of its own.
func (s *server) ask(command string, arguments ...interface{}) interface{} {
	s.t.Helper()
	client, err := redis.Dial("unix", filepath.Join(s.folder, "redis.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	answer, err := client.Do(command, arguments...)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

type stamp struct {
	ID   uint64 `json:"id"`
	Time string `json:"time"`
	Lag  *int64 `json:"lag"`
	Err  *int64 `json:"err"`
	Step int    `json:"step"`
}

// eventUs is the event's time, µs since 1970.
func (s stamp) eventUs(t *testing.T) int64 {
	t.Helper()
	us, err := strconv.ParseInt(strings.Replace(s.Time, ".", "", 1), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return us - *s.Lag
}

func (s *server) stamps(stage, run string) (stamps []stamp) {
	s.t.Helper()
	entries, err := redis.ByteSlices(s.ask("LRANGE", "trace:"+run+":"+stage, 0, -1), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		var read stamp
		if err := json.Unmarshal(entry, &read); err != nil {
			s.t.Fatalf("%s: %v", entry, err)
		}
		stamps = append(stamps, read)
	}
	return stamps
}

// counts are the counters of a run, summed over the writers, as text with sorted names.
func (s *server) counts(run string) string {
	s.t.Helper()
	fields, err := redis.Int64Map(s.ask("HGETALL", "trace:"+run+":counts"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]int64{}
	for field, count := range fields {
		counts[strings.Split(field, "@")[0]] += count
	}
	return strings.TrimPrefix(fmt.Sprint(counts), "map")
}

// until waits until the condition holds, and fails where it does not within 10 s.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", patience)
		}
	}
}

// warnings gathers what a tracer warns of.
type warnings struct {
	mutex sync.Mutex
	all   []string
}

func (w *warnings) add(warning string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.all = append(w.all, warning)
}

// count tells how many of them contain a text.
func (w *warnings) count(text string) (count int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, warning := range w.all {
		if strings.Contains(warning, text) {
			count++
		}
	}
	return count
}

// startTracer starts a tracer of the stage s; it ends with the test.
func startTracer(t *testing.T, url string, options Options) (*Tracer, *warnings) {
	t.Helper()
	heard := &warnings{}
	options.Service, options.OnWarning = "svc", heard.add
	if options.Stages == nil {
		options.Stages = []string{"s"}
	}
	tracer, err := Start(url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tracer.Close(within(t, 100*time.Millisecond)) })
	return tracer, heard
}

func within(t *testing.T, duration time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	t.Cleanup(cancel)
	return ctx
}

func flush(t *testing.T, tracer *Tracer) {
	t.Helper()
	if err := tracer.Flush(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}
