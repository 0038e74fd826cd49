package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// result is what send prints.
type result struct {
	Requests int            `json:"requests"`
	Seconds  float64        `json:"seconds"`
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
	Answers  map[string]int `json:"answers"` // status, or how it failed -> how often
	Models   map[string]int `json:"models"`  // the model that a good answer names -> how often
}

// send reads its flags, sends, and prints a result.
func send(arguments []string) error {
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	target := flags.String("url", "", "where to POST to")
	file := flags.String("body", "", "the file to send")
	atOnce := flags.Int("at-once", 1, "clients; each sends its next request after its last one's answer")
	requests := flags.Int("requests", 1, "requests, all clients together")
	timeout := flags.Duration("timeout", time.Minute, "for one request")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	where, err := url.Parse(*target)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	message := append([]byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n", where.RequestURI(), where.Host, len(body))), body...)
	return json.NewEncoder(os.Stdout).Encode(run(where.Host, message, *atOnce, *requests, *timeout))
}

func run(address string, message []byte, atOnce, requests int, timeout time.Duration) result {
	var left atomic.Int64
	left.Store(int64(requests))
	parts := make([]part, atOnce)
	var all sync.WaitGroup
	began := time.Now()
	for index := range parts {
		all.Add(1)
		go func(mine *part) {
			defer all.Done()
			mine.work(address, message, timeout, &left)
		}(&parts[index])
	}
	all.Wait()
	made := result{Requests: requests, Seconds: time.Since(began).Seconds(), Answers: map[string]int{}, Models: map[string]int{}}
	var taken []float64
	for _, one := range parts {
		taken = append(taken, one.taken...)
		for name, count := range one.answers {
			made.Answers[name] += count
		}
		for name, count := range one.models {
			made.Models[name] += count
		}
	}
	sort.Float64s(taken)
	if len(taken) > 0 {
		made.P50, made.P99 = taken[len(taken)/2], taken[len(taken)*99/100]
	}
	return made
}

// part is one client's share.
type part struct {
	taken   []float64
	answers map[string]int
	models  map[string]int
}

func (p *part) work(address string, message []byte, timeout time.Duration, left *atomic.Int64) {
	p.answers, p.models = map[string]int{}, map[string]int{}
	var connection net.Conn
	var reader *bufio.Reader
	for left.Add(-1) >= 0 {
		if connection == nil {
			made, err := net.DialTimeout("tcp", address, timeout)
			if err != nil {
				p.answers["no connection"]++
				continue
			}
			connection, reader = made, bufio.NewReader(made)
		}
		began := time.Now()
		_ = connection.SetDeadline(began.Add(timeout))
		again, answer := exchange(connection, reader, message, p.models)
		p.taken = append(p.taken, float64(time.Since(began).Nanoseconds())/1e6)
		p.answers[answer]++
		if !again {
			_ = connection.Close()
			connection = nil
		}
	}
	if connection != nil {
		_ = connection.Close()
	}
}

// exchange sends one request; whether the connection can be used again, and the status or what failed.
func exchange(connection net.Conn, reader *bufio.Reader, message []byte, models map[string]int) (bool, string) {
	written := make(chan error, 1)
	if len(message) > 1<<16 { // an early answer must be read even while nobody reads the rest of a long body
		go func() { _, err := connection.Write(message); written <- err }()
	} else {
		_, err := connection.Write(message)
		written <- err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		_ = connection.Close()
		<-written
		return false, "no answer"
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.Close || response.StatusCode != http.StatusOK {
		_ = connection.Close()
	}
	if sent := <-written; err != nil || (sent != nil && response.StatusCode == http.StatusOK) {
		return false, "cut off"
	}
	if response.StatusCode == http.StatusOK {
		models[model(answer)]++
	}
	return !response.Close && response.StatusCode == http.StatusOK, strconv.Itoa(response.StatusCode)
}

// model is what an engine called itself in its answer.
func model(answer []byte) string {
	_, rest, _ := bytes.Cut(answer, []byte(`"model":"`))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(name)
}
