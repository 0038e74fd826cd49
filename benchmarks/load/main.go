// Command load is both ends of the benchmarks: engines that cost next to nothing, and clients that wait for nothing.
//
//	load engines NAME=PORT ...   answer every request with the engine's name
//	load send [flags]            send bodies from a fixed number of clients; tell how it went, as JSON
//	load decide [flags]          ask a router itself for decisions, as Envoy does; tell how it went, as JSON
//
// It needs Go's standard library alone. Both are Go and not Python, so that neither takes the processors that are
// measured, and so that 32 clients really are 32 at once.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "engines":
			fail(engines(os.Args[2:]))
			return
		case "decide":
			fail(decide(os.Args[2:]))
			return
		case "send":
			fail(send(os.Args[2:]))
			return
		}
	}
	fail(fmt.Errorf("say engines, send or decide"))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
