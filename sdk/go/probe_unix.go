//go:build unix

package stampede

import (
	"io"
	"net"
	"syscall"
	"time"
)

// For so long the clock's goroutine asks again and again whether the answer is there: a goroutine that is parked must wait for a
// processor to come free when it is there, and where all are busy that takes up to 10 ms. Most answers come within 100 µs.
const spinFor = 200 * time.Microsecond

// reader gives what reads a socket of the clock.
func reader(socket net.Conn) func([]byte) (int, Moment, error) {
	plain, ok := socket.(syscall.Conn)
	if !ok {
		return readAndMark(socket)
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return readAndMark(socket)
	}
	return func(buffer []byte) (count int, received Moment, err error) {
		until := LocalNow() + Moment(spinFor)
		failed := raw.Read(func(handle uintptr) bool {
			for {
				count, err = syscall.Read(int(handle), buffer)
				received = LocalNow()
				switch {
				case err == syscall.EINTR:
				case err != syscall.EAGAIN:
					return true
				case received > until:
					// The runtime waits until something is there, and calls again.
					return false
				}
			}
		})
		switch {
		case failed != nil:
			return 0, 0, failed
		case err == nil && count == 0:
			return 0, 0, io.ErrUnexpectedEOF
		}
		return count, received, err
	}
}
