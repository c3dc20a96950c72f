//go:build !unix

package stampede

func cpuUs() *int64       { return nil }
func memoryBytes() *int64 { return nil }
