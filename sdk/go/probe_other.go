//go:build !unix

package stampede

import "net"

// reader gives what reads a socket of the clock.
func reader(socket net.Conn) func([]byte) (int, Moment, error) {
	return readAndMark(socket)
}
