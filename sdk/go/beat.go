package stampede

import (
	"encoding/json"
	"os"
	"runtime"
	"time"
)

const (
	beatEvery = time.Second
	// How long a beat is heard.
	heardFor = 5 * time.Second
)

// beat is what a process tells about itself once a second, so that anybody can see which services are there.
type beat struct {
	Service  string     `json:"service"`
	Instance string     `json:"instance"`
	Version  string     `json:"version"`
	Host     string     `json:"host"`
	Pid      int        `json:"pid"`
	Every    uint64     `json:"every"`
	Stages   []string   `json:"stages"`
	Clock    *beatClock `json:"clock"`
	// Both absent where the system does not tell.
	CPUUs       *int64 `json:"cpu_us,omitempty"`
	MemoryBytes *int64 `json:"memory_bytes,omitempty"`
	Cores       int    `json:"cores"`
}

type beatClock struct {
	ErrorUs int64 `json:"error_us"`
	// The host's wall clock less Redis time: no result depends on it.
	HostOffsetUs int64   `json:"host_offset_us"`
	DriftPpm     float64 `json:"drift_ppm"`
	Steps        uint32  `json:"steps"`
}

func beatKey(settings *settings) string {
	return "trace:service:" + settings.Service + ":" + settings.instance
}

// beatDocument is the present beat, as JSON.
func beatDocument(settings *settings, names []name, clock *clockState) []byte {
	host, _ := os.Hostname() // For people: it may be absent.
	now := beat{
		Service:     settings.Service,
		Instance:    settings.instance,
		Version:     settings.Version,
		Host:        host,
		Pid:         os.Getpid(),
		Every:       settings.Every,
		Stages:      []string{},
		CPUUs:       cpuUs(),
		MemoryBytes: memoryBytes(),
		Cores:       runtime.GOMAXPROCS(0),
	}
	for _, name := range names {
		if name.isStage {
			now.Stages = append(now.Stages, name.text)
		}
	}
	if clock != nil {
		redis := clock.at(LocalNow())
		offset := time.Now().UnixMicro() - redis.Us
		now.Clock = &beatClock{redis.ErrorUs, offset, clock.line.Drift * 1e6, clock.steps}
	}
	document, _ := json.Marshal(now) // Strings and finite numbers always become JSON.
	return document
}
