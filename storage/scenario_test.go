package storage_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tributary/storage"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txt")

// A scenario file is a row of blocks, parted by empty lines: commands, a line "----", and
// what they print. Lines that begin with # are comments. Records are put at offset 0, 1, …;
// "put@7" and "remove@7" set the offset. A key with spaces stands in quotes.
//
//	put <key> <value>       apply a record
//	remove <key>            apply a tombstone
//	state [connector]       config topic: everything, or what is known of one connector
//	status                  status topic: everything
//	offset <connector> <partition>…    offsets topic: the offsets of partition maps
//	partitions <connector>
//	record <connector> <partition> <offset|null>   encode a change, expanded to all keys
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		kind, _, _ := strings.Cut(filepath.Base(file), "_")
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			topic, ok := map[string]func() topic{
				"config":  func() topic { return &configTopic{state: new(storage.ClusterState)} },
				"status":  func() topic { return new(statusTopic) },
				"offsets": func() topic { return new(offsetsTopic) },
			}[kind]
			if !ok {
				t.Fatalf("a scenario's name begins with config_, status_ or offsets_")
			}
			play(t, file, topic())
		})
	}
}

// topic is what a scenario drives.
type topic interface {
	apply(record storage.Record, offset int64) string
	ask(command string, args []string) (string, error)
}

func play(t *testing.T, file string, to topic) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var offset int64
	blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	for i, block := range blocks {
		commands, want, hasWant := strings.Cut(block, "\n----\n")
		if !hasWant {
			commands = strings.TrimSuffix(block, "\n----")
		}
		var got []string
		for _, line := range strings.Split(commands, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			out, err := command(to, line, &offset)
			if err != nil {
				t.Fatalf("block %d: %s: %v", i+1, line, err)
			}
			if out != "" {
				got = append(got, strings.TrimSuffix(out, "\n"))
			}
		}
		result := strings.Join(got, "\n")
		if *update {
			if result != "" {
				commands += "\n----\n" + result
			}
			blocks[i] = commands
		} else if result != want {
			t.Errorf("block %d:\n%s\n---- got\n%s\n---- want\n%s", i+1, commands, result, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func command(to topic, line string, offset *int64) (string, error) {
	name, rest, _ := strings.Cut(line, " ")
	name, at, placed := strings.Cut(name, "@")
	if placed {
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return "", err
		}
		*offset = n
	}
	if name != "put" && name != "remove" {
		return to.ask(name, words(rest))
	}
	key, value := cutWord(rest)
	record := storage.Record{Key: []byte(key)}
	if name == "put" {
		record.Value = []byte(value)
	}
	out := to.apply(record, *offset)
	*offset++
	return out, nil
}

// cutWord cuts off the first word, which may be a quoted string or a JSON value.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, `"`) || strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		d := json.NewDecoder(strings.NewReader(s))
		var raw json.RawMessage
		if d.Decode(&raw) == nil {
			rest = strings.TrimLeft(s[d.InputOffset():], " ")
			if text := ""; json.Unmarshal(raw, &text) == nil {
				return text, rest
			}
			return string(raw), rest
		}
	}
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

func words(s string) []string {
	var all []string
	for s != "" {
		var word string
		word, s = cutWord(s)
		all = append(all, word)
	}
	return all
}

type configTopic struct {
	state  *storage.ClusterState
	replay storage.Replay
}

func (c *configTopic) apply(record storage.Record, offset int64) string {
	before := describe(c.state)
	old := c.state
	next, event, err := c.state.Apply(record, offset)
	if describe(old) != before {
		return "ERROR: Apply changed the state it was called on"
	}
	event2, err2 := c.replay.Apply(record, offset)
	if fmt.Sprint(event, err) != fmt.Sprint(event2, err2) {
		return fmt.Sprintf("ERROR: Replay says %v, %v, Apply %v, %v", event2, err2, event, err)
	}
	c.state = next
	switch {
	case err != nil:
		return err.Error()
	case event != nil:
		return fmt.Sprintf("%s%+v", strings.TrimPrefix(fmt.Sprintf("%T", event), "storage."), event)
	}
	return ""
}

func (c *configTopic) ask(command string, args []string) (string, error) {
	if command != "state" {
		return "", fmt.Errorf("unknown command %q", command)
	}
	if a, b := describe(c.state), describe(c.replay.Snapshot()); a != b {
		return "", fmt.Errorf("Apply and Replay disagree:\n%s\n%s", a, b)
	}
	if len(args) == 1 {
		return describeConnector(c.state, args[0]), nil
	}
	return describe(c.state), nil
}

func describe(s *storage.ClusterState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "offset %d", s.Offset())
	if key, ok := s.SessionKey(); ok {
		fmt.Fprintf(&b, ", session key %s %x of %d", key.Algorithm, key.Key, key.Created.UnixMilli())
	}
	b.WriteByte('\n')
	for _, name := range s.Connectors() {
		b.WriteString(describeConnector(s, name))
	}
	return b.String()
}

func describeConnector(s *storage.ClusterState, name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", name)
	if config, ok := s.RawConnectorConfig(name); ok != s.Contains(name) {
		b.WriteString(" ERROR: Contains and RawConnectorConfig disagree")
	} else if ok {
		fmt.Fprintf(&b, " config %s", show(config))
	}
	if target, ok := s.TargetState(name); ok {
		fmt.Fprintf(&b, ", target %s", target)
	}
	if applied, ok := s.AppliedConfig(name); ok {
		fmt.Fprintf(&b, ", applied %s", show(applied))
	}
	fmt.Fprintf(&b, ", %d tasks", s.TaskCount(name))
	if s.IsInconsistent(name) {
		b.WriteString(", inconsistent")
	}
	if generation, ok := s.TaskConfigGeneration(name); ok {
		fmt.Fprintf(&b, ", generation %d", generation)
	}
	if count, ok := s.TaskCountRecord(name); ok {
		fmt.Fprintf(&b, ", fenced for %d", count)
	}
	if s.PendingFencing(name) {
		b.WriteString(", pending fencing")
	}
	b.WriteByte('\n')
	configs := s.RawTaskConfigs(name)
	for i, task := range s.Tasks(name) {
		config, ok := s.RawTaskConfig(task)
		if !ok || show(config) != show(configs[i]) {
			fmt.Fprintf(&b, "  ERROR: task %v: %v, %v\n", task, config, configs[i])
		}
		fmt.Fprintf(&b, "  %s-%d: %s\n", task.Connector, task.Task, show(config))
	}
	return b.String()
}

func show(config storage.ConnectorConfig) string {
	text, _ := json.Marshal(config)
	return string(text)
}

type statusTopic struct{ table storage.StatusTable }

func (s *statusTopic) apply(record storage.Record, _ int64) string {
	if err := s.table.Apply(record); err != nil {
		return err.Error()
	}
	return ""
}

func (s *statusTopic) ask(command string, args []string) (string, error) {
	if command != "status" {
		return "", fmt.Errorf("unknown command %q", command)
	}
	var b strings.Builder
	for _, name := range append(s.table.Connectors(), args...) {
		if status, ok := s.table.Connector(name); ok {
			fmt.Fprintf(&b, "%s: %+v\n", name, status)
		}
		tasks := s.table.Tasks(name)
		var lines []string
		for task, status := range tasks {
			if one, ok := s.table.Task(task); !ok || one != status {
				return "", fmt.Errorf("Tasks and Task disagree about %v", task)
			}
			lines = append(lines, fmt.Sprintf("  %s-%d: %+v\n", task.Connector, task.Task, status))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
		for _, topic := range s.table.Topics(name) {
			fmt.Fprintf(&b, "  topic %s: task %d at %d, known %t\n", topic.Topic, topic.Task, topic.Discovered.UnixMilli(), s.table.HasTopic(topic.Topic, name))
		}
	}
	if b.Len() == 0 {
		return "nothing", nil
	}
	return b.String(), nil
}

type offsetsTopic struct{ table storage.OffsetTable }

func (o *offsetsTopic) apply(record storage.Record, _ int64) string {
	if err := o.table.Apply(record); err != nil {
		return err.Error()
	}
	return ""
}

func (o *offsetsTopic) ask(command string, args []string) (string, error) {
	switch command {
	case "offset":
		partitions, err := maps(args[1:])
		if err != nil {
			return "", err
		}
		offsets, err := o.table.Offsets(args[0], partitions)
		return fmt.Sprintf("%v %v", offsets, errText(err)), nil
	case "partitions":
		return fmt.Sprintf("%v", o.table.Partitions(args[0])), nil
	case "record":
		m, err := maps(args[1:])
		if err != nil {
			return "", err
		}
		record, err := o.table.Record(args[0], m[0], m[1])
		if err != nil {
			return err.Error(), nil
		}
		var lines []string
		for _, r := range o.table.Expand([]storage.Record{record}) {
			value := string(r.Value)
			if r.Value == nil {
				value = "(removed)"
			}
			lines = append(lines, fmt.Sprintf("%s %s", r.Key, value))
		}
		return strings.Join(lines, "\n"), nil
	}
	return "", fmt.Errorf("unknown command %q", command)
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func maps(texts []string) ([]map[string]any, error) {
	all := make([]map[string]any, len(texts))
	for i, text := range texts {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
	}
	return all, nil
}
