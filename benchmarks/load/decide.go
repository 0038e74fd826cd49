package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const method = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"

// decide reads its flags, asks routers for decisions as Envoy does, and prints a result.
func decide(arguments []string) error {
	flags := flag.NewFlagSet("decide", flag.ContinueOnError)
	addresses := flags.String("addresses", "", "the workers' addresses, separated by commas; asked by turns")
	first := flags.String("headers", "", "the file with a stream's first message")
	second := flags.String("body", "", "the file with its second one")
	atOnce := flags.Int("at-once", 1, "streams; each begins after the one before it")
	requests := flags.Int("requests", 1, "decisions, all together")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	var messages [2][]byte
	for index, file := range []string{*first, *second} {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		head := make([]byte, 5)
		binary.BigEndian.PutUint32(head[1:], uint32(len(content)))
		messages[index] = append(head, content...)
	}
	where := strings.Split(*addresses, ",")
	clients := make([]*http.Client, len(where))
	for index := range where {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		clients[index] = &http.Client{Transport: &http.Transport{Protocols: &protocols, DisableCompression: true}}
	}
	var turn, left atomic.Int64
	left.Store(int64(*requests))
	parts := make([]part, *atOnce)
	var all sync.WaitGroup
	began := time.Now()
	for index := range parts {
		all.Add(1)
		go func(mine *part) {
			defer all.Done()
			mine.answers = map[string]int{}
			for left.Add(-1) >= 0 {
				at := int(turn.Add(1)) % len(where)
				start := time.Now()
				answer := "decided"
				if err := stream(clients[at], "http://"+where[at]+method, messages); err != nil {
					answer = err.Error()
				}
				mine.taken = append(mine.taken, float64(time.Since(start).Nanoseconds())/1e6)
				mine.answers[answer]++
			}
		}(&parts[index])
	}
	all.Wait()
	made := result{Requests: *requests, Seconds: time.Since(began).Seconds(), Answers: map[string]int{}, Models: map[string]int{}}
	var taken []float64
	for _, one := range parts {
		taken = append(taken, one.taken...)
		for name, count := range one.answers {
			made.Answers[name] += count
		}
	}
	sort.Float64s(taken)
	made.P50, made.P99 = taken[len(taken)/2], taken[len(taken)*99/100]
	return json.NewEncoder(os.Stdout).Encode(made)
}

// stream asks for one decision: each message after the reply to the one before.
func stream(client *http.Client, url string, messages [2][]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	source, sink := io.Pipe()
	defer sink.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, source)
	if err != nil {
		return err
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	go func() { _, _ = sink.Write(messages[0]) }()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = reply(response.Body); err != nil {
		return err
	}
	if _, err = sink.Write(messages[1]); err != nil {
		return err
	}
	decision, err := reply(response.Body)
	if err != nil {
		return err
	}
	if !bytes.Contains(decision, []byte("x-inference-server")) {
		return fmt.Errorf("no decision")
	}
	_ = sink.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if status := response.Trailer.Get("Grpc-Status"); status != "0" {
		return fmt.Errorf("grpc-status %q", status)
	}
	return nil
}

// reply reads one message.
func reply(body io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(body, message)
	return message, err
}
