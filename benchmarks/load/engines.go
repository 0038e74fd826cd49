package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// engines listens for each NAME=PORT (0 is any free one), prints the names with their true ports, then serves until
// the process is ended.
func engines(named []string) error {
	failed := make(chan error)
	for _, entry := range named {
		name, port, found := strings.Cut(entry, "=")
		if !found {
			return fmt.Errorf("%q is not NAME=PORT", entry)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		fmt.Printf("%s=%d\n", name, listener.Addr().(*net.TCPAddr).Port)
		go func() { failed <- http.Serve(listener, engine(name)) }()
	}
	return <-failed
}

// engine reads the whole body and answers as an engine would: a chat completion, whose model is the engine's name.
func engine(name string) http.Handler {
	answer := fmt.Sprintf(`{"id":"1","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,`+
		`"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, name)
	models := fmt.Sprintf(`{"object":"list","data":[{"id":%q,"object":"model","created":1,"owned_by":"vllm"}]}`, name)
	return http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		out.Header().Set("Content-Type", "application/json")
		if request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/models") {
			_, _ = io.WriteString(out, models)
			return
		}
		_, _ = io.WriteString(out, answer)
	})
}
