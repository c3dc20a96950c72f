package stampede

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"stampede/sdk/go/internal/filter"
)

// prober asks Redis for TIME and nothing else.
type prober struct {
	*connection
	read   func([]byte) (int, Moment, error)
	buffer [128]byte
}

var timeCommand = []byte("*1\r\n$4\r\nTIME\r\n")

func openProber(ctx context.Context, address *address) (*prober, error) {
	connection, err := address.connect(ctx, probePatience)
	if err != nil {
		return nil, err
	}
	return &prober{connection: connection, read: reader(connection.socket)}, nil
}

// end closes the connection, if there is one. It returns what there is then: none.
func (p *prober) end() *prober {
	if p != nil {
		p.connection.close()
	}
	return nil
}

// probe brackets one reading of Redis TIME. Nothing but the two system calls stands between the readings of the local clock: the
// client's buffers and parser would widen the bound of the error.
func (p *prober) probe() (filter.Probe, error) {
	if err := p.socket.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return filter.Probe{}, err
	}
	sent := LocalNow()
	if _, err := p.socket.Write(timeCommand); err != nil {
		return filter.Probe{}, err
	}
	for filled := 0; ; {
		count, received, err := p.read(p.buffer[filled:])
		if err != nil {
			return filter.Probe{}, err
		}
		filled += count
		redisUs, isWhole, err := parseTime(string(p.buffer[:filled]))
		if err != nil {
			return filter.Probe{}, err
		}
		if isWhole {
			return filter.Probe{SentNs: int64(sent), ReceivedNs: int64(received), RedisUs: redisUs}, nil
		}
		if filled == len(p.buffer) {
			return filter.Probe{}, errors.New("redis answers TIME with something else")
		}
	}
}

// parseTime reads the answer to TIME, an array of seconds and microseconds, as far as it is there.
func parseTime(answer string) (us int64, isWhole bool, err error) {
	lines := strings.Split(answer, "\r\n")
	if lines[0] != "" && lines[0][0] == '-' && len(lines) > 1 {
		return 0, false, errors.New(lines[0][1:])
	}
	if len(lines) < 6 {
		return 0, false, nil
	}
	seconds, secondsError := strconv.ParseInt(lines[2], 10, 64)
	micros, microsError := strconv.ParseInt(lines[4], 10, 64)
	if lines[0] != "*2" || secondsError != nil || microsError != nil {
		return 0, false, fmt.Errorf("redis answers TIME with %.40q", answer)
	}
	return seconds*1_000_000 + micros, true, nil
}

// readAndMark reads what has come, and the local time after it.
func readAndMark(socket net.Conn) func([]byte) (int, Moment, error) {
	return func(buffer []byte) (int, Moment, error) {
		count, err := socket.Read(buffer)
		return count, LocalNow(), err
	}
}
