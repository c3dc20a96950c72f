package stampede

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

func TestEveryMessageIsCountedAndSampledOnesAreStampedWithTheirEventTime(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{Every: 10})
	flush(t, tracer)
	before, isKnown := tracer.Now()
	at := LocalNow()
	for id := uint64(0); id < 1000; id++ {
		tracer.Stamp("s", id, "r")
	}
	tracer.StampAt("s", 5000, "r", at)
	tracer.Count("garbage", 1, "")
	after, _ := tracer.Now()
	if unwritten := tracer.Close(within(t, patience)); unwritten != 0 || !isKnown {
		t.Errorf("%d unwritten", unwritten)
	}
	if counts := server.counts("r") + server.counts("adhoc"); counts != "[s:1001][garbage:1]" {
		t.Error(counts)
	}
	stamps := server.stamps("s", "r")
	if len(stamps) != 101 {
		t.Fatalf("%d stamps", len(stamps))
	}
	for number, stamp := range stamps {
		event, want := stamp.eventUs(t), uint64(number*10)
		if number == 100 {
			want = 5000
		}
		if stamp.ID != want || stamp.Step != 0 || event < before.Us-before.ErrorUs-*stamp.Err || event > after.Us+after.ErrorUs+*stamp.Err {
			t.Errorf("%d: %+v is not from between %+v and %+v", number, stamp, before, after)
		}
	}
}

func TestManyGoroutinesShareATracer(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{Every: 1})
	var stamping sync.WaitGroup
	const workers, each = 8, 1000
	for worker := uint64(0); worker < workers; worker++ {
		stamping.Add(1)
		go func(worker uint64) {
			defer stamping.Done()
			for id := uint64(0); id < each; id++ {
				tracer.Stamp("s", worker*each+id, []string{"r", "q"}[id%2])
			}
		}(worker)
	}
	stamping.Wait()
	if unwritten := tracer.Close(within(t, patience)); unwritten != 0 {
		t.Errorf("%d unwritten", unwritten)
	}
	ids := map[uint64]bool{}
	for _, run := range []string{"r", "q"} {
		if counts := server.counts(run); counts != "[s:4000]" {
			t.Error(counts)
		}
		for _, stamp := range server.stamps("s", run) {
			ids[stamp.ID] = true
		}
	}
	if len(ids) != workers*each {
		t.Errorf("%d ids", len(ids))
	}
}

func TestAProcessSaysThatItIsThereAndThatItHasGone(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{Every: 7, Stages: []string{"s", "second"}})
	flush(t, tracer)
	keys, err := redis.Strings(server.ask("KEYS", "trace:service:svc:*"), nil)
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	var told beat
	if err := json.Unmarshal(server.ask("GET", keys[0]).([]byte), &told); err != nil {
		t.Fatal(err)
	}
	if keys[0] != "trace:service:svc:"+told.Instance || told.Every != 7 || !reflect.DeepEqual(told.Stages, []string{"s", "second"}) ||
		told.Version != Version || told.Pid != os.Getpid() || told.Clock.ErrorUs == 0 || *told.CPUUs == 0 || *told.MemoryBytes == 0 {
		t.Errorf("%+v", told)
	}
	tracer.Close(within(t, patience))
	if keys, _ := redis.Strings(server.ask("KEYS", "trace:service:*"), nil); len(keys) != 0 {
		t.Error(keys)
	}
	if tracer.Flush(within(t, patience)) == nil || tracer.Close(within(t, patience)) != 0 {
		t.Error("a closed tracer flushes")
	}
}

func TestPlainStampsHaveNoEventTime(t *testing.T) {
	server := startServer(t)
	server.ask("RPUSH", clockSteps, `{"at":"1.000000","size":5,"err":1}`)
	tracer, _ := startTracer(t, server.url(), Options{Clock: Plain})
	tracer.Stamp("s", 0, "")
	if _, isKnown := tracer.Now(); isKnown {
		t.Error("a plain tracer tells Redis time")
	}
	tracer.Close(within(t, patience))
	if stamps := server.stamps("s", "adhoc"); len(stamps) != 1 || stamps[0].Lag != nil || stamps[0].Err != nil || stamps[0].Step != 1 {
		t.Errorf("%+v", stamps)
	}
}

func TestStampsAreToldInTheTimeScaleOfTheLogStore(t *testing.T) {
	server := startServer(t)
	server.ask("RPUSH", clockSteps, `{"at":"1.000000","size":5,"err":1}`, `{"at":"2.000000","size":-7,"err":1}`)
	tracer, _ := startTracer(t, server.url(), Options{})
	tracer.Stamp("s", 0, "")
	tracer.Close(within(t, patience))
	if stamps := server.stamps("s", "adhoc"); len(stamps) != 1 || stamps[0].Step != 2 {
		t.Errorf("%+v", stamps)
	}
}

func TestWhileTheLogStoreIsAwayStampsWait(t *testing.T) {
	server := startServer(t)
	tracer, heard := startTracer(t, server.url(), Options{Every: 1})
	tracer.Stamp("s", 1, "")
	flush(t, tracer)
	server.stop()
	for id := uint64(2); id < 500; id++ {
		tracer.Stamp("s", id, "")
	}
	if tracer.Flush(within(t, 200*time.Millisecond)) == nil {
		t.Error("flushed to nowhere")
	}
	server.restart()
	flush(t, tracer)
	// Whether the log store had what was under way when it ended is unknown: that is dropped.
	stamps, dropped := server.stamps("s", "adhoc"), tracer.Dropped()
	if len(stamps)+int(dropped) != 498 || dropped > stampsPerCall {
		t.Errorf("%d stamps, %d dropped", len(stamps), dropped)
	}
	if counts := server.counts("adhoc"); !strings.HasSuffix(counts, "s:499]") {
		t.Error(counts)
	}
	if unwritten := tracer.Close(within(t, patience)); unwritten != dropped {
		t.Errorf("%d unwritten", unwritten)
	}
	if count := heard.count("stamps and counts wait"); count != 1 {
		t.Errorf("%d warnings: %v", count, heard.all)
	}
}

func TestALogStoreThatIsNeverThereMakesNothingWait(t *testing.T) {
	server := startServer(t)
	server.stop()
	tracer, _ := startTracer(t, server.url(), Options{Every: 1, Buffer: 3})
	for id := uint64(0); id < 5; id++ {
		tracer.Stamp("s", id, "")
	}
	if _, isKnown := tracer.Now(); isKnown || tracer.Dropped() != 2 {
		t.Errorf("%d dropped", tracer.Dropped())
	}
	if unwritten := tracer.Close(within(t, 100*time.Millisecond)); unwritten != 5 {
		t.Errorf("%d unwritten", unwritten)
	}
}

func TestUnconfirmedStampsAreDroppedAndNoneIsThereTwice(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{Every: 1})
	flush(t, tracer)
	// A server that has stopped takes what is sent, and answers when it goes on: too late.
	server.signal(syscall.SIGSTOP)
	for id := uint64(0); id < 10; id++ {
		tracer.Stamp("s", id, "")
	}
	until(t, func() bool { return tracer.Dropped() > 0 })
	server.signal(syscall.SIGCONT)
	flush(t, tracer)
	for id := uint64(10); id < 20; id++ {
		tracer.Stamp("s", id, "")
	}
	unwritten := tracer.Close(within(t, patience))
	ids := map[uint64]int{}
	for _, stamp := range server.stamps("s", "adhoc") {
		ids[stamp.ID]++
	}
	for id, count := range ids {
		if count > 1 {
			t.Errorf("%d is there %d times", id, count)
		}
	}
	if len(ids)+int(unwritten) < 20 {
		t.Errorf("%d there, %d unwritten", len(ids), unwritten)
	}
	if counts := server.counts("adhoc"); !strings.HasSuffix(counts, "s:20]") || !strings.HasPrefix(counts, "[dropped.s:") {
		t.Error(counts)
	}
}

func TestALogStoreThatHasForgottenTheScriptIsTaughtItAgain(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{Every: 1})
	flush(t, tracer)
	server.ask("SCRIPT", "FLUSH")
	for id := uint64(0); id < 200; id++ {
		tracer.Stamp("s", id, "")
	}
	flush(t, tracer)
	if stamps := server.stamps("s", "adhoc"); len(stamps) != 200 || tracer.Dropped() != 0 {
		t.Errorf("%d stamps, %d dropped", len(stamps), tracer.Dropped())
	}
}

func TestAKeyOfTheWrongTypeSpoilsNothingButItsOwnRun(t *testing.T) {
	server := startServer(t)
	tracer, heard := startTracer(t, server.url(), Options{})
	server.ask("SET", "trace:bad:s", "a string")
	tracer.Stamp("s", 0, "bad")
	flush(t, tracer)
	tracer.Stamp("s", 0, "good")
	flush(t, tracer)
	if counts := server.counts("good"); counts != "[s:1]" || len(server.stamps("s", "good")) != 1 {
		t.Error(counts)
	}
	if unwritten := tracer.Close(within(t, patience)); unwritten != 1 {
		t.Errorf("%d unwritten", unwritten)
	}
	if counts := server.counts("bad"); counts != "[dropped.s:1 s:1]" || heard.count("WRONGTYPE") == 0 {
		t.Error(counts, heard.all)
	}
}

func TestAMessageThatIsNoneIsCountedAsGarbage(t *testing.T) {
	server := startServer(t)
	tracer, heard := startTracer(t, server.url(), Options{})
	tracer.Stamp("s", MaxID+1, "r")
	tracer.Stamp("s", 1, "no run")
	tracer.Count("shed", 1, "no run")
	tracer.Close(within(t, patience))
	if counts := server.counts("adhoc") + server.counts("r"); counts != "[garbage:3][]" {
		t.Error(counts)
	}
	if heard.count("is out of range") != 1 || heard.count(`run "no run" is invalid`) != 2 {
		t.Error(heard.all)
	}
}

func TestWrongUse(t *testing.T) {
	for _, options := range []Options{
		{}, {Service: "a:b"}, {Service: "svc", Stages: []string{"S"}}, {Service: "svc", Clock: "sundial"}, {Service: "svc", Expire: 1}, {Service: "svc", Buffer: -1},
	} {
		if _, err := Start("redis://127.0.0.1", options); err == nil {
			t.Errorf("%+v is taken", options)
		}
	}
}

func TestPasswordsAndDatabases(t *testing.T) {
	server := startServer(t, "--requirepass", "secret")
	tracer, heard := startTracer(t, server.url()+"?pass=secret&db=3", Options{Every: 1})
	tracer.Stamp("s", 0, "")
	flush(t, tracer)
	if _, isKnown := tracer.Now(); !isKnown || tracer.Close(within(t, patience)) != 0 {
		t.Error(heard.all)
	}
	refused, heard := startTracer(t, server.url()+"?pass=wrong-one", Options{Every: 1})
	refused.Stamp("s", 0, "")
	until(t, func() bool { return heard.count("WRONGPASS") > 0 })
	if unwritten := refused.Close(within(t, 100*time.Millisecond)); unwritten != 1 || heard.count("wrong-one") != 0 {
		t.Error(unwritten, heard.all)
	}
}
