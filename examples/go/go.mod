module stampede/examples/go

go 1.19

require (
	github.com/gomodule/redigo v1.8.9
	stampede/sdk/go v0.1.0
)

replace stampede/sdk/go => ../../sdk/go
