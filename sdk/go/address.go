package stampede

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// address is where a Redis server is, and how to get in.
type address struct {
	// Without its secrets, for logs and errors.
	shown              string
	network, at        string
	username, password string
	database           int
	// Absent without TLS.
	tls *tls.Config
}

const addressForms = "redis://[user:password@]host:port[/db], rediss://… for TLS, or redis+unix:///path[?db=…&user=…&pass=…]"

// parseAddress reads an address. What is wrong is told without its secrets.
func parseAddress(text, caFile string) (*address, error) {
	wrong := func(what string) error {
		return fmt.Errorf("the address of the log store is wrong: %s. Write %s", what, addressForms)
	}
	parsed, err := url.Parse(text)
	if err != nil {
		// The error of net/url has the whole text in it, and with it the password.
		return nil, wrong("it is no URL")
	}
	a := &address{}
	database := ""
	switch parsed.Scheme {
	case "redis", "rediss":
		host, port := parsed.Hostname(), parsed.Port()
		if host == "" {
			host = "127.0.0.1"
		}
		if port == "" {
			port = "6379"
		}
		a.network, a.at = "tcp", net.JoinHostPort(host, port)
		a.username = parsed.User.Username()
		a.password, _ = parsed.User.Password()
		database = strings.Trim(parsed.Path, "/")
		a.shown = fmt.Sprintf("%s://%s%s", parsed.Scheme, a.at, strings.TrimSuffix(parsed.Path, "/"))
		if parsed.Scheme == "rediss" {
			a.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		}
	case "redis+unix", "unix":
		if parsed.Path == "" {
			return nil, wrong("the path of the socket is missing")
		}
		query := parsed.Query()
		a.network, a.at = "unix", parsed.Path
		a.username, a.password, database = query.Get("user"), query.Get("pass"), query.Get("db")
		a.shown = "redis+unix://" + parsed.Path
	default:
		return nil, wrong(fmt.Sprintf("the scheme %q is none of Redis's", parsed.Scheme))
	}
	if database != "" {
		if a.database, err = strconv.Atoi(database); err != nil || a.database < 0 {
			return nil, wrong("the database is a number from 0 up")
		}
	}
	if caFile == "" {
		return a, nil
	}
	if a.tls == nil {
		return nil, wrong("a file of authorities is for rediss:// alone")
	}
	a.tls.RootCAs, err = authorities(caFile)
	return a, err
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the authorities for rediss:// cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM: give the authority that signed the log store's", file)
	}
	return pool, nil
}

// connection is a way into Redis, for one goroutine at a time.
type connection struct {
	client redis.Conn
	// What the client reads from; the clock does so by itself.
	socket net.Conn
	// Closed when the connection is.
	closed chan struct{}
}

// connect opens a connection and proves who it is. It takes at most the patience, as does each command afterwards. Where the context
// ends, the connection does, too, and with it what it waits for.
func (a *address) connect(ctx context.Context, patience time.Duration) (*connection, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := net.Dialer{KeepAlive: 5 * time.Second}
	socket, err := dialer.DialContext(limited, a.network, a.at)
	if err != nil {
		return nil, err
	}
	if a.tls != nil {
		secured := tls.Client(socket, a.tls)
		if err := secured.HandshakeContext(limited); err != nil {
			socket.Close()
			return nil, err
		}
		socket = secured
	}
	c := &connection{redis.NewConn(socket, patience, patience), socket, make(chan struct{})}
	go func() {
		select {
		case <-ctx.Done():
			socket.Close()
		case <-c.closed:
		}
	}()
	if err := a.enter(c.client); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends a connection, which is then of no more use. There may be none.
func (c *connection) close() {
	if c != nil {
		close(c.closed)
		c.client.Close()
	}
}

func (a *address) enter(client redis.Conn) error {
	if a.password != "" {
		credentials := []interface{}{a.password}
		if a.username != "" {
			credentials = []interface{}{a.username, a.password}
		}
		if _, err := client.Do("AUTH", credentials...); err != nil {
			return err
		}
	}
	if a.database != 0 {
		if _, err := client.Do("SELECT", a.database); err != nil {
			return err
		}
	}
	// A server that wants a password says so only when it is asked something.
	_, err := client.Do("PING")
	return err
}
