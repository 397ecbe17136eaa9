// The Go side of ../desk.py: commands come as lines on standard input, answers and arrivals go as lines to standard output.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
)

// form is a line in either direction; each name has one value.
type form map[string]string

var printing sync.Mutex

// print writes a line whose first member is the named one, which says what the line is.
func (f form) print(first string) {
	line := first + "=" + url.QueryEscape(f[first])
	for name, value := range f {
		if name != first {
			line += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
		}
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(line)
}

// answer prints what came of a command.
func (f form) answer(result form, err error) {
	if err != nil {
		result = form{"error": err.Error()}
	}
	line := form{"call": f["call"]}
	for name, value := range result {
		line[name] = value
	}
	line.print("call")
}

// under gives the members whose names begin with the prefix, without it.
func (f form) under(prefix string) form {
	members := form{}
	for name, value := range f {
		if strings.HasPrefix(name, prefix) {
			members[strings.TrimPrefix(name, prefix)] = value
		}
	}
	return members
}

// number gives the member of that name, and 0 where there is none.
func (f form) number(name string) int {
	if f[name] == "" {
		return 0
	}
	number, err := strconv.Atoi(f[name])
	if err != nil {
		panic(err)
	}
	return number
}

func (f form) body() []byte {
	body, err := base64.StdEncoding.DecodeString(f["body"])
	if err != nil {
		panic(err)
	}
	return body
}

// serve works until standard input ends.
func serve(abilities string, work func(form)) {
	form{"can": abilities}.print("can")
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadString('\n')
		if err == io.EOF {
			return
		}
		values, err := url.ParseQuery(strings.TrimSpace(line))
		if err != nil {
			panic(err)
		}
		command := form{}
		for name := range values {
			command[name] = values.Get(name)
		}
		work(command)
	}
}
