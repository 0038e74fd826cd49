// Uploads a file: go run upload.go URL FILE PROTOCOL [NAME VALUE], PROTOCOL is h1 or h2 (cleartext, prior knowledge).
// Prints the answer's status and the code of its error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(os.Args[3] == "h1")
	protocols.SetUnencryptedHTTP2(os.Args[3] == "h2")
	request, err := http.NewRequest("POST", os.Args[1], bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("content-type", "application/json")
	if len(os.Args) > 4 {
		request.Header.Set(os.Args[4], os.Args[5])
	}
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	var answer struct{ Error struct{ Code string } }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.StatusCode, answer.Error.Code)
}
