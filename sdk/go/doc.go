// Package stampede brings a Go service into the traces of Stampede, an end-to-end latency tracer for asynchronous pipelines.
//
// A [Tracer] counts every message at each stage of a service, and stamps one in N of them with the time of one Redis server, the
// log store, with a bound of the error. Nothing on the way of a message waits for Redis. The wire is described in
// docs/protocol.md, the clock in docs/method.md; the Rust crate stamp does the same.
package stampede

// Version is that of this SDK. Beats tell it where the service has none of its own.
const Version = "0.1.0"
