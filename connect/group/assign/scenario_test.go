package assign

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected lines of testdata/*.txt")

// TestScenarios runs testdata/*.txt, one promise of the incremental assignor
// a file. A line is a comment (#), expected output (>) or a command:
//
//	maxdelay 5m         sets the configuration, first
//	config a=2 b=0      replaces what is configured: connector=tasks
//	join w1 w2          adds members that hold nothing
//	restart w1 w2       adds member w2, the worker that w1 was
//	crash w1            ends members without a word
//	goodbye w1          ends members that say so
//	hold w1 a a-0       replaces what a member runs
//	leader w2           makes another member the leader, with a new state
//	advance 10s         moves the clock
//	round [deaf w1]     rebalances; deaf members do not get their assignment
//
// A round prints each member's change (+ new, - revoked), and the delay if
// there is one. Members carry out what they are told.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := transcript(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !strings.Contains(got, "\n> ") {
				t.Fatal("the scenario expects nothing")
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// transcript runs a scenario and returns its text with the actual output.
func transcript(scenario string) (string, error) {
	c := newCluster(5 * time.Minute)
	var b strings.Builder
	for line := range strings.Lines(scenario) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		b.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		output, err := c.command(fields[0], fields[1:])
		if err != nil {
			return "", fmt.Errorf("%q: %w", line, err)
		}
		b.WriteString(output)
	}
	return b.String(), nil
}

func (c *cluster) command(name string, args []string) (output string, err error) {
	each := func(f func(string)) {
		for _, id := range args {
			f(id)
		}
	}
	switch name {
	case "maxdelay":
		c.cfg.MaxDelay, err = time.ParseDuration(args[0])
	case "advance":
		var d time.Duration
		d, err = time.ParseDuration(args[0])
		c.now = c.now.Add(d)
	case "config":
		c.configured.Offset++
		c.configured.Connectors = map[string]int{}
		for _, arg := range args {
			connector, tasks, _ := strings.Cut(arg, "=")
			if c.configured.Connectors[connector], err = strconv.Atoi(tasks); err != nil {
				return "", err
			}
		}
	case "join":
		each(c.join)
	case "restart":
		c.restart(args[0], args[1])
	case "crash":
		each(c.crash)
	case "goodbye":
		each(c.goodbye)
	case "hold":
		c.held[args[0]], err = parseWork(args[1:]...)
	case "leader":
		c.leader, c.state = args[0], State{}
	case "round":
		if len(args) > 0 {
			args = args[1:]
		}
		output = showPlan(c.round(args...))
	default:
		err = fmt.Errorf("no such command")
	}
	return output, err
}

func showPlan(p Plan) string {
	var b strings.Builder
	for _, id := range (Round{Members: membersOf(p)}).memberIDs() {
		change := p.Members[id]
		text := show("-", change.Revoked) + show("+", change.Assigned)
		if text == "" {
			text = " ."
		}
		fmt.Fprintf(&b, "> %s%s\n", id, text)
	}
	if p.Delay != 0 {
		fmt.Fprintf(&b, "> delay %s\n", p.Delay)
	}
	return b.String()
}

func membersOf(p Plan) map[string]Member {
	members := map[string]Member{}
	for id := range p.Members {
		members[id] = Member{}
	}
	return members
}
