package stampede

import "testing"

// A message that is not sampled costs no memory: the garbage collector must not be the price of counting.
func TestUnsampledMessagesAllocateNothing(t *testing.T) {
	server := startServer(t)
	tracer, _ := startTracer(t, server.url(), Options{})
	flush(t, tracer)
	body := []byte(`{"id":1,"run":"r.c05","data":"news"}`)
	pass := func() {
		envelope, err := ReadEnvelope(body)
		if err != nil {
			t.Fatal(err)
		}
		tracer.Stamp("s", envelope.ID, envelope.Run)
	}
	pass()
	// The background allocates a little meanwhile; an allocation for each message would be 1.
	if each := testing.AllocsPerRun(10_000, pass); each > 0.5 {
		t.Errorf("%v allocations", each)
	}
}

func BenchmarkStamp(b *testing.B) {
	tracer, err := Start("redis://127.0.0.1:1", Options{Service: "svc", Stages: []string{"s"}, OnWarning: func(string) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer tracer.end()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for id := uint64(1); pb.Next(); id += 100 {
			tracer.Stamp("s", id, "r")
		}
	})
}
