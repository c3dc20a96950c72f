//go:build unix

package stampede

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// cpuUs is the CPU time of all threads since the process started; absent where the system does not tell.
func cpuUs() *int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return nil
	}
	us := (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
	return &us
}

// memoryBytes is the resident memory; absent where the system does not tell.
func memoryBytes() *int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil
	}
	pages := strings.Fields(string(statm))
	if len(pages) < 2 {
		return nil
	}
	resident, err := strconv.ParseInt(pages[1], 10, 64)
	if err != nil {
		return nil
	}
	bytes := resident * int64(os.Getpagesize())
	return &bytes
}
