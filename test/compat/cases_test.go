package compat

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/predicate"
	"tributary/connect/transform"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
	"tributary/test/compat/cases"
	"tributary/test/oracle"
)

const (
	transformCases = "../../connect/transform/testdata/transforms"
	converterCases = "../../connect/converter/testdata/converters"

	jsonConverter = "org.apache.kafka.connect.json.JsonConverter"
	transforms    = "org.apache.kafka.connect.transforms."
)

// notCompared are cases whose outcome is not Java's, and on purpose.
var notCompared = map[string]string{
	"extract path ":                       "a setting that cannot work is refused at the start, by Java with each record",
	"regex router .* $9":                  "as above",
	"cast whole to float32/8":             "Java before 19 prints more digits of a float32 than are needed",
	"cast whole with schema to float32/9": "as above",
	"cast fields to float32/0":            "as above",
}

// saidOtherwise are the cases of which Tributary says the same about the same keys, but in other words: it names the key
// and the value of a wrong spec of Cast, where Java's message does not or names others, and its regular expressions have
// messages of their own.
var saidOtherwise = regexp.MustCompile(`^cast |'\['|regex router \[`)

// sides are the two workers that are compared.
var sides = []string{"java", "go"}

// casesRun is the cases of test/oracle, made to connectors for both workers.
type casesRun struct {
	t        *testing.T
	dir      string
	client   *kafkatest.Client
	notation *oracle.Notation
	envelope connect.Converter
	// connectors are those of a side, by their names without it.
	connectors map[string]map[string]map[string]string
	// written is how many records the sources write on each side, by the topic without the side's name, or "" for what is
	// routed by chains.
	written map[string]int
	// free are records of chains whose partition, or time, nobody chose.
	freePartition, freeTime map[string]bool
	rest                    map[string]*api.Client
	// refused are the cases that a Java worker refuses to make a connector of.
	refused map[string]bool
	// late are those that a Java worker makes a connector of, and whose task then fails.
	late []oracle.Case
	// read are the topics that a sink reads, and kept how many of their records it puts or has in its dead letter queue.
	read map[string][]string
	kept map[string]int
}

// TestCasesOfKafkasClassesOnLiveWorkers sends the cases that Kafka's own classes answered for test/oracle through
// connectors on a Java worker and on Tributary, on one real cluster: transformations and predicates in sources and in
// sinks, converters for keys, values and headers in both directions. What arrives is the same byte by byte, with its
// headers, time, topic and partition; what fails does so at the same stage, in the same class, and reaches the dead
// letter queue with the same message.
func TestCasesOfKafkasClassesOnLiveWorkers(t *testing.T) {
	realkafka.Require(t)
	classes := realkafka.CompileJava(t, "../oracle/java/Oracle.java", "testdata/plugins/CasesSourceConnector.java", "testdata/plugins/CasesSinkConnector.java")
	services := filepath.Join(classes, "META-INF", "services")
	if err := os.MkdirAll(services, 0o755); err != nil {
		t.Fatal(err)
	}
	for kind, class := range map[string]string{"source.SourceConnector": cases.SourceClass, "sink.SinkConnector": cases.SinkClass} {
		if err := os.WriteFile(filepath.Join(services, "org.apache.kafka.connect."+kind), []byte(class+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	notation, err := oracle.NewNotation()
	if err != nil {
		t.Fatal(err)
	}
	envelope := new(converter.JSON)
	if err := envelope.Configure(map[string]string{}, false); err != nil {
		t.Fatal(err)
	}
	k := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}, Extra: map[string]string{"log.message.timestamp.after.max.ms": anyTime["message.timestamp.after.max.ms"], "log.retention.ms": "-1"}})
	run := &casesRun{t: t, dir: t.TempDir(), client: kafkatest.Dial(t, k.Bootstrap()), notation: notation, envelope: envelope,
		connectors: map[string]map[string]map[string]string{"java": {}, "go": {}}, written: map[string]int{}, freePartition: map[string]bool{}, freeTime: map[string]bool{}, read: map[string][]string{}, kept: map[string]int{}, refused: map[string]bool{}}

	properties := func(side string) map[string]string {
		return map[string]string{
			"bootstrap.servers": k.Bootstrap(), "offset.storage.file.filename": filepath.Join(run.dir, side+".offsets"), "offset.flush.interval.ms": "1000",
			"key.converter": jsonConverter, "value.converter": jsonConverter, "listeners": fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t)),
		}
	}
	java := realkafka.StartJavaStandalone(t, properties("java"), nil, realkafka.WithClasses(classes), realkafka.WithJVM("-Xmx1g", quickJVM, "-Duser.timezone=UTC", "-Duser.language=en", "-Duser.country=US"))
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tributary := startStandaloneOf(t, program, []string{casesWorker + "=1", "TZ=UTC"}, properties("go"), nil)
	logs := map[string]func() string{"java": java.Log, "go": tributary.Log}
	run.rest = map[string]*api.Client{"java": {BaseURL: java.URL()}, "go": tributary.Client}

	t.Run("validation", func(t *testing.T) { run.compareValidation(t) })
	run.prepareChains()
	run.prepareConverters()
	for side, connectors := range run.connectors {
		for name, config := range connectors {
			if _, _, err := run.rest[side].PutConfig(t.Context(), side+"-"+name, config); err != nil {
				t.Fatalf("%s refuses %s: %v", side, name, err)
			}
		}
	}

	t.Run("tasks that cannot start", func(t *testing.T) { run.compareLateFailures(t) })
	t.Run("tasks that tolerate nothing", func(t *testing.T) { run.compareIntolerant(t) })
	t.Run("sources", func(t *testing.T) { run.compareSources(t) })
	t.Run("sinks", func(t *testing.T) { run.compareSinks(t) })
	t.Run("errors", func(t *testing.T) {
		kafkatest.Await(t, patience, "both logs to have the same stages and classes of failed records, by connector", func() (bool, string) {
			failures := map[string]map[string][]string{}
			for side, log := range logs {
				failures[side] = failuresOf(log())
				slices.Sort(failures[side]["sink-chains"]) // it reads several partitions, which come in any order
			}
			d := diff.Diff(failures["java"], failures["go"])
			return d == "" && len(failures["java"]) > 0, "(-Java +Tributary):\n" + d
		})
	})
}

// TestTheCasesNameEveryPluginOfKafkas holds the tables against the list of what is built in: no transformation, predicate
// or converter of Kafka's may be without a case.
func TestTheCasesNameEveryPluginOfKafkas(t *testing.T) {
	named := map[string]bool{}
	for _, c := range append(withKeyForms(oracle.Cases(t, transformCases)), oracle.Cases(t, converterCases)...) {
		named[c.Converter] = true
		for _, s := range c.Chain {
			named[s.Class] = true
			if s.Predicate != nil {
				named[s.Predicate.Class] = true
			}
		}
	}
	count := 0
	for _, p := range slices.Concat(transform.Plugins(""), predicate.Plugins(""), converter.Plugins("")) {
		if !strings.HasPrefix(p.Class, "org.apache.kafka.") {
			continue // Tributary's own
		}
		count++
		if !named[p.Class] {
			t.Errorf("%s has no case", p.Class)
		}
	}
	if count < 40 {
		t.Errorf("%d plugins are built in; Kafka 4.3.1 has more", count)
	}
}

// add makes a connector for each side. %s in its settings is the side.
func (r *casesRun) add(name, class string, config map[string]string) {
	for _, side := range sides {
		own := map[string]string{"name": side + "-" + name, "connector.class": class, "errors.tolerance": "all", "errors.log.enable": "true", "tasks.max": "1"}
		for key, value := range config {
			own[key] = strings.ReplaceAll(value, "SIDE", side)
		}
		r.connectors[side][name] = own
	}
}

// addSource makes a source whose topics have that many partitions.
func (r *casesRun) addSource(name string, records []oracle.Record, partitions int, config map[string]string) {
	r.t.Helper()
	data, err := json.Marshal(records)
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(r.dir, name+".json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	config["file"] = file
	config["topic.creation.default.partitions"], config["topic.creation.default.replication.factor"] = strconv.Itoa(partitions), "1"
	r.add(name, cases.SourceClass, config)
}

// addSink makes a sink of topics; it finds a single one by a pattern.
func (r *casesRun) addSink(name string, topics []string, config map[string]string) {
	config["topics"] = strings.Join(topics, ",")
	if len(topics) == 1 {
		delete(config, "topics")
		config["topics.regex"] = strings.ReplaceAll(topics[0], ".", "[.]")
	}
	config["file"] = filepath.Join(r.dir, "SIDE-"+name+".lines")
	config["errors.deadletterqueue.topic.name"], config["errors.deadletterqueue.topic.replication.factor"] = "SIDE.dead."+name, "1"
	config["errors.deadletterqueue.context.headers.enable"] = "true"
	r.add(name, cases.SinkClass, config)
	r.read[name] = topics
}

// chain is the configuration of transformations, several chains in one connector: each stands behind a predicate that
// sees the header that only records of its case have.
type chain struct {
	config                 map[string]string
	transforms, predicates []string
}

func newChain() *chain { return &chain{config: map[string]string{}} }

func (c *chain) predicate(alias, class string, settings map[string]string) {
	c.predicates = append(c.predicates, alias)
	c.config["predicates."+alias+".type"] = class
	for key, value := range settings {
		c.config["predicates."+alias+"."+key] = value
	}
}

func (c *chain) transform(alias, class string, settings map[string]string, predicate string, negate bool) {
	c.transforms = append(c.transforms, alias)
	c.config["transforms."+alias+".type"] = class
	for key, value := range settings {
		c.config["transforms."+alias+"."+key] = value
	}
	if predicate != "" {
		c.config["transforms."+alias+".predicate"], c.config["transforms."+alias+".negate"] = predicate, strconv.FormatBool(negate)
	}
}

// chainOf is one case alone, with its own predicates.
func chainOf(c oracle.Case) *chain {
	own := newChain()
	for j, s := range c.Chain {
		predicate := ""
		if s.Predicate != nil {
			predicate = fmt.Sprintf("p%d", j)
			own.predicate(predicate, s.Predicate.Class, s.Predicate.Settings())
		}
		own.transform(fmt.Sprintf("t%d", j), s.Class, s.Settings(), predicate, s.Negate)
	}
	return own
}

func (c *chain) settings() map[string]string {
	out := maps.Clone(c.config)
	out["transforms"] = strings.Join(c.transforms, ",")
	if len(c.predicates) > 0 {
		out["predicates"] = strings.Join(c.predicates, ",")
	}
	return out
}

// intoSide routes what a source made to a topic of its side; names that no topic can have are one.
func (c *chain) intoSide() {
	c.transform("odd", transforms+"RegexRouter", map[string]string{"regex": "(?s).*[^A-Za-z0-9._-].*|", "replacement": "odd"}, "", false)
	c.transform("side", transforms+"RegexRouter", map[string]string{"regex": "(.*)", "replacement": "SIDE.chains.$1"}, "", false)
}

// routedPartitions is how many partitions topics of chains have: records of the cases choose them.
const routedPartitions = 4

// keyForm is how the name of a case begins that was made of another's.
const keyForm = "key form of "

// withKeyForms adds to cases whose transformations all are for values the same for keys.
func withKeyForms(all []oracle.Case) []oracle.Case {
	for _, c := range slices.Clone(all) {
		chain, records := slices.Clone(c.Chain), slices.Clone(c.Records)
		twin := true
		for i := range chain {
			class, ok := strings.CutSuffix(chain[i].Class, "$Value")
			chain[i].Class = class + "$Key"
			twin = twin && ok
		}
		if !twin {
			continue
		}
		for i := range records {
			records[i].Key, records[i].Value = records[i].Value, records[i].Key
		}
		c.Name, c.Chain, c.Records = keyForm+c.Name, chain, records
		all = append(all, c)
	}
	return all
}

// caseHeader is the header by which records of a case are known.
func caseHeader(number int) string { return fmt.Sprintf("case-%d", number) }

func text(s string) json.RawMessage {
	data, err := json.Marshal(map[string]string{"plain": s})
	if err != nil {
		panic(err) // texts can be marshalled
	}
	return data
}

func (r *casesRun) prepareChains() {
	t := r.t
	converters := map[string]string{"key.converter": jsonConverter, "value.converter": jsonConverter, "header.converter": jsonConverter}
	golden := oracle.Golden(t, transformCases)
	source, sink := newChain(), newChain()
	var fromSource []oracle.Record
	toSink := map[string][]kafkatest.Record{}
	for number, c := range withKeyForms(oracle.Cases(t, transformCases)) {
		name := strings.TrimPrefix(c.Name, keyForm)
		answers, ok := golden[name].([]any)
		if !ok || notCompared[name] != "" || r.refused[name] {
			continue // refused: nothing runs
		}
		header := caseHeader(number)
		var records []oracle.Record
		guarded := !slices.ContainsFunc(c.Chain, func(s oracle.Step) bool { return s.Predicate != nil })
		for i, record := range c.Records {
			id := fmt.Sprintf("%s/%d", c.Name, i)
			record.Headers = append(slices.Clone(record.Headers), oracle.Header{Key: header, Value: text(id)})
			compared := notCompared[fmt.Sprintf("%s/%d", name, i)] == ""
			if guarded && compared {
				if topic, wire, ok := r.wire(record); ok {
					toSink[topic] = append(toSink[topic], wire)
					if answers[i].(map[string]any)["dropped"] == nil {
						r.kept["sink-chains"]++
					}
				}
			}
			if record.Offset != nil || !compared {
				continue // sources have no offsets
			}
			records = append(records, record)
			r.freePartition[id], r.freeTime[id] = record.Partition == nil, record.Timestamp == nil
			if arrives(answers[i].(map[string]any)) {
				r.written[""]++
			}
		}
		if !guarded { // by predicates of its own, so it needs connectors of its own
			own := chainOf(c)
			own.intoSide()
			config := own.settings()
			maps.Copy(config, converters)
			r.addSource(fmt.Sprintf("own-chain-%d", number), records, routedPartitions, config)
			continue
		}
		fromSource = append(fromSource, records...)
		for _, chain := range []*chain{source, sink} {
			chain.predicate(header, transforms+"predicates.HasHeaderKey", map[string]string{"name": header})
			for j, s := range c.Chain {
				chain.transform(fmt.Sprintf("t%d-%d", number, j), s.Class, s.Settings(), header, false)
			}
		}
	}
	source.intoSide()
	config := source.settings()
	maps.Copy(config, converters)
	r.addSource("chains", fromSource, routedPartitions, config)
	config = sink.settings()
	maps.Copy(config, converters)
	topics := slices.Sorted(maps.Keys(toSink))
	r.addSink("sink-chains", topics, config)
	for _, topic := range topics {
		r.client.CreateTopic(topic, routedPartitions, anyTime)
		r.client.Produce(topic, toSink[topic]...)
	}
}

// compareValidation has both workers validate each chain, and compares what they say of each key. What passes there but
// cannot work fails with the task on both sides, or is refused by Tributary alone.
func (r *casesRun) compareValidation(t *testing.T) {
	golden := oracle.Golden(t, transformCases)
	invalid := 0
	for _, c := range oracle.Cases(t, transformCases) {
		found := map[string]map[string][]string{}
		for _, side := range sides {
			config := chainOf(c).settings()
			config["name"], config["connector.class"], config["file"] = "x", cases.SourceClass, "x"
			infos, err := r.rest[side].Validate(t.Context(), cases.SourceClass, config)
			if err != nil {
				t.Fatalf("%s: %s: %v", c.Name, side, err)
			}
			found[side] = map[string][]string{}
			for _, info := range infos.Configs {
				if len(info.Value.Errors) > 0 {
					found[side][info.Value.Name] = info.Value.Errors
				}
			}
		}
		_, runs := golden[c.Name].([]any)
		if len(found["java"]) > 0 {
			invalid++
			r.refused[c.Name] = true
		} else if !runs {
			r.late = append(r.late, c)
			continue
		}
		if notCompared[c.Name] != "" {
			continue
		}
		if saidOtherwise.MatchString(c.Name) {
			for _, side := range sides {
				for key := range found[side] {
					found[side][key] = nil
				}
			}
		}
		if d := diff.Diff(found["java"], found["go"]); d != "" {
			t.Errorf("%s: validation (-Java +Tributary):\n%s", c.Name, d)
		}
	}
	t.Logf("%d chains are invalid, %d are refused when the task starts", invalid, len(r.late))
	if invalid == 0 {
		t.Error("no chain is invalid")
	}
}

// compareLateFailures makes connectors of what validation lets pass, but no transformation takes: their tasks fail on both
// sides with what Kafka's own class says, or Tributary has refused the connector with it.
func (r *casesRun) compareLateFailures(t *testing.T) {
	golden := oracle.Golden(t, transformCases)
	if len(r.late) == 0 {
		t.Error("there are no such cases")
	}
	// Java shows an object in one message, and in the other calls a text the name of a key.
	parts := map[string]string{
		"insert static without value":                                  "Invalid value null for configuration static.value: No value specified for static field: ",
		"timestamp refuses {'target_type': 'unix', 'format': 'bogus'}": "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: bogus",
	}
	refusals := map[string]string{}
	for i, c := range r.late {
		for _, side := range sides {
			name := fmt.Sprintf("%s-late-%d", side, i)
			config := chainOf(c).settings()
			config["name"], config["connector.class"], config["file"] = name, cases.SourceClass, filepath.Join(r.dir, "chains.json")
			if _, _, err := r.rest[side].PutConfig(t.Context(), name, config); err != nil {
				refusals[name] = err.Error()
			}
		}
	}
	for i, c := range r.late {
		want := cmp.Or(parts[c.Name], golden[c.Name].(map[string]any)["refused"].(string))
		for _, side := range sides {
			name := fmt.Sprintf("%s-late-%d", side, i)
			said := refusals[name]
			if said == "" {
				awaitTask(t, r.rest[side], name, "FAILED")
				status, err := r.rest[side].Status(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				said = status.Tasks[0].Trace
			} else if side == "java" {
				t.Fatalf("%s: Java refuses the connector: %s", c.Name, said)
			}
			if !strings.Contains(said, want) {
				t.Errorf("%s: %s says %q, want %q in it", c.Name, side, said, want)
			}
		}
	}
}

// compareIntolerant compares sinks whose errors.tolerance is none: a record that cannot be handled fails the task, what was
// read with it is not put, and it is in the dead letter queue nevertheless.
func (r *casesRun) compareIntolerant(t *testing.T) {
	const topic = "intolerant"
	r.client.CreateTopic(topic, 1, anyTime)
	var records []kafkatest.Record
	for _, value := range []string{`{"schema":{"type":"int32"},"payload":1}`, `{"schema":{"type":"int32"}}`, `{"schema":{"type":"int32"},"payload":3}`} {
		records = append(records, kafkatest.Record{Timestamp: time.UnixMilli(1700000000123), Value: []byte(value)})
	}
	r.client.Produce(topic, records...)
	letters, lines := map[string][]kafkatest.Record{}, map[string]string{}
	r.addSink(topic, []string{topic}, map[string]string{"value.converter": jsonConverter})
	delete(r.read, topic) // it never gets to the end
	for _, side := range sides {
		name := side + "-" + topic
		config := r.connectors[side][topic]
		config["errors.tolerance"] = "none"
		if _, _, err := r.rest[side].PutConfig(t.Context(), name, config); err != nil {
			t.Fatal(err)
		}
	}
	for _, side := range sides {
		awaitTask(t, r.rest[side], side+"-"+topic, "FAILED")
		letters[side] = comparableLetters(t, r.client.AwaitRecords(side+".dead."+topic, 1, patience)[0])
		data, err := os.ReadFile(r.connectors[side][topic]["file"])
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		lines[side] = string(data)
		if committed := r.client.CommittedOffsets("connect-" + side + "-" + topic); len(committed) > 0 {
			t.Errorf("%s has committed %v", side, committed)
		}
	}
	if d := diff.Diff(letters["java"], letters["go"]); d != "" || len(letters["java"]) != 1 {
		t.Errorf("dead letters (-Java +Tributary):\n%s", d)
	}
	if lines["java"] != "" || lines["go"] != "" {
		t.Errorf("lines %v, want none", lines)
	}
}

// arrives says whether what a chain makes of a record can be written by JsonConverter.
func arrives(answer map[string]any) bool {
	headers, _ := answer["headers"].([]any)
	for _, h := range headers {
		if h.(map[string]any)["valueJsonError"] != nil {
			return false
		}
	}
	return answer["error"] == nil && answer["dropped"] == nil && answer["keyJsonError"] == nil && answer["valueJsonError"] == nil
}

// wire is a case's record as JsonConverter writes it, for a sink to read. Not every value of the cases can be written,
// and not every topic of theirs can be made.
func (r *casesRun) wire(c oracle.Record) (topic string, wire kafkatest.Record, ok bool) {
	record, err := r.notation.Record(c)
	if err != nil {
		r.t.Fatal(err)
	}
	if regexp.MustCompile(`[^a-zA-Z0-9._-]`).MatchString(record.Topic) {
		return "", wire, false
	}
	written := true
	write := func(schema *connect.Schema, value any) []byte {
		data, err := r.envelope.FromConnectData("t", nil, schema, value)
		written = written && err == nil
		return data
	}
	wire = kafkatest.Record{Partition: max(0, record.Partition), Timestamp: time.UnixMilli(1700000000123), Key: write(record.KeySchema, record.Key), Value: write(record.ValueSchema, record.Value)}
	if record.Timestamp != connect.NoTimestamp {
		wire.Timestamp = time.UnixMilli(record.Timestamp)
	}
	for _, h := range record.Headers {
		wire.Headers = append(wire.Headers, kafkatest.Header{Key: h.Key, Value: write(h.Schema, h.Value)})
	}
	return record.Topic, wire, written
}

// prepareConverters gives each value and each text of a converter's cases to the converter as a key, as a value and as
// a header.
func (r *casesRun) prepareConverters() {
	t := r.t
	golden := oracle.Golden(t, converterCases)
	for number, c := range oracle.Cases(t, converterCases) {
		answers := golden[c.Name].(map[string]any)
		if answers["refused"] != nil {
			continue
		}
		kinds := []string{"key", "value", "header"}
		if strings.HasSuffix(c.Converter, ".SimpleHeaderConverter") {
			kinds = kinds[2:]
		}
		config := func() map[string]string {
			out := map[string]string{}
			for _, kind := range kinds {
				out[kind+".converter"] = c.Converter
				for key, value := range oracle.Settings(c.Config) {
					out[kind+".converter."+key] = value
				}
			}
			return out
		}
		if len(c.Write) > 0 {
			topic := fmt.Sprintf("write.%d", number)
			var records []oracle.Record
			for i, value := range c.Write {
				for _, kind := range kinds {
					if kind == "header" && strings.HasSuffix(c.Converter, ".ByteArrayConverter") {
						continue // Tributary writes headers that are not bytes as text, so that InsertHeader works in a mirror
					}
					record := oracle.Record{Topic: topic, Headers: []oracle.Header{{Key: fmt.Sprintf("%s: write %d as %s", c.Name, i, kind)}}}
					switch kind {
					case "key":
						record.Key = value
					case "value":
						record.Value = value
					case "header":
						record.Headers = append(record.Headers, oracle.Header{Key: "h", Value: value})
					}
					records = append(records, record)
					if answers["write"].([]any)[i].(map[string]any)["error"] == nil {
						r.written[topic]++
					}
				}
			}
			own := newChain()
			own.transform("side", transforms+"RegexRouter", map[string]string{"regex": "(.*)", "replacement": "SIDE.$1"}, "", false)
			settings := config()
			maps.Copy(settings, own.settings())
			r.addSource(topic, records, 1, settings)
		}
		if len(c.Read) > 0 {
			topic := fmt.Sprintf("read.%d", number)
			var records []kafkatest.Record
			for i, raw := range c.Read {
				data, err := oracle.Bytes(raw)
				if err != nil {
					t.Fatal(err)
				}
				for _, kind := range kinds {
					record := kafkatest.Record{Timestamp: time.UnixMilli(1700000000123), Headers: []kafkatest.Header{{Key: fmt.Sprintf("%s: read %d as %s", c.Name, i, kind)}}}
					switch kind {
					case "key":
						record.Key = data
					case "value":
						record.Value = data
					case "header":
						record.Headers = append(record.Headers, kafkatest.Header{Key: "h", Value: data})
					}
					records = append(records, record)
				}
			}
			r.client.CreateTopic(topic, 1, anyTime)
			r.client.Produce(topic, records...)
			r.addSink(topic, []string{topic}, config())
			r.kept[topic] = len(records)
		}
	}
}

// compareSources compares what the sources of both sides wrote.
func (r *casesRun) compareSources(t *testing.T) {
	client := r.client
	found := map[string]map[string][]kafkatest.Record{"java": {}, "go": {}}
	for topic, count := range r.written {
		for _, side := range sides {
			if topic != "" {
				found[side][topic] = client.AwaitRecords(side+"."+topic, count, patience)[0]
				continue
			}
			var routed map[string][]kafkatest.Record
			kafkatest.Await(t, patience, fmt.Sprintf("%d records of %s's chains", count, side), func() (bool, string) {
				routed = map[string][]kafkatest.Record{}
				total := 0
				for _, name := range client.Topics() {
					own, ok := strings.CutPrefix(name, side+".chains.")
					if !ok {
						continue
					}
					for _, records := range client.ReadTopic(name, kafkatest.ReadUncommitted) {
						for _, record := range records {
							id := caseID(t, record)
							routed[own+" of "+id] = append(routed[own+" of "+id], record)
							total++
						}
					}
				}
				return total >= count, fmt.Sprint(total)
			})
			for id, records := range routed {
				_, name, _ := strings.Cut(id, " of ")
				for i := range records {
					if r.freePartition[name] && records[i].Key == nil {
						records[i].Partition = -1
					}
					if r.freeTime[name] {
						records[i].Timestamp = time.Time{}
					}
				}
			}
			maps.Copy(found[side], routed)
		}
	}
	for _, side := range sides {
		total := 0
		for topic, records := range found[side] {
			for i := range records {
				records[i].Offset = 0
				if strings.HasPrefix(topic, "write.") {
					records[i].Timestamp, records[i].Partition = time.Time{}, -1
				}
			}
			total += len(records)
		}
		t.Logf("%s wrote %d records", side, total)
	}
	if d := diff.Diff(found["java"], found["go"]); d != "" {
		t.Errorf("records of sources (-Java +Tributary):\n%s", d)
	}
}

// caseID is what the header of a record says about its case.
func caseID(t *testing.T, record kafkatest.Record) string {
	t.Helper()
	for _, h := range record.Headers {
		if strings.HasPrefix(h.Key, "case-") {
			var envelope struct{ Payload string }
			if err := json.Unmarshal(h.Value, &envelope); err != nil {
				t.Fatalf("%s: %v", h.Value, err)
			}
			return envelope.Payload
		}
	}
	t.Fatalf("%v is of no case", record)
	return ""
}

// compareSinks compares what the sinks of both sides got, and their dead letters. A sink has read all when its group is at
// the end of its topics.
func (r *casesRun) compareSinks(t *testing.T) {
	client := r.client
	for _, name := range slices.Sorted(maps.Keys(r.read)) {
		lines, letters := map[string][]string{}, map[string][]kafkatest.Record{}
		for _, side := range sides {
			kafkatest.Await(t, patience, side+"'s "+name+" to be at the end", func() (bool, string) {
				committed := client.CommittedOffsets("connect-" + side + "-" + name)
				for _, topic := range r.read[name] {
					for partition, offsets := range client.Offsets(topic) {
						if committed[topic][partition] != offsets.End {
							return false, fmt.Sprint(committed)
						}
					}
				}
				return true, ""
			})
			data, err := os.ReadFile(filepath.Join(r.dir, side+"-"+name+".lines"))
			if err != nil {
				t.Fatal(err)
			}
			// Java does not wait for dead letters before it commits.
			dead := r.kept[name] - strings.Count(string(data), "\n")
			var found []kafkatest.Record
			kafkatest.Await(t, patience, fmt.Sprintf("%d dead letters of %s's %s", dead, side, name), func() (bool, string) {
				found = client.ReadTopic(side+".dead."+name, kafkatest.ReadUncommitted)[0]
				return len(found) >= dead, fmt.Sprint(len(found))
			})
			for line := range strings.Lines(string(data)) {
				lines[side] = append(lines[side], canonical(t, line))
			}
			slices.Sort(lines[side]) // partitions come in any order
			letters[side] = comparableLetters(t, found)
			slices.SortStableFunc(letters[side], func(a, b kafkatest.Record) int {
				return cmp.Or(cmp.Compare(headerText(a, "topic"), headerText(b, "topic")), cmp.Compare(headerText(a, "partition"), headerText(b, "partition")), cmp.Compare(a.Offset, b.Offset))
			})
			for i := range letters[side] {
				letters[side][i].Offset = 0
			}
		}
		if java, own := letters["java"], letters["go"]; len(java) == len(own) {
			for i := range java {
				forgiveClass(java[i], own[i])
			}
		}
		if d := diff.Diff(lines["java"], lines["go"]); d != "" {
			t.Errorf("%s: records (-Java +Tributary):\n%s", name, d)
		}
		if d := diff.Diff(letters["java"], letters["go"]); d != "" {
			t.Errorf("%s: dead letters (-Java +Tributary):\n%s", name, d)
		}
		t.Logf("%s: %d records, %d dead letters", name, len(lines["java"]), len(letters["java"]))
	}
}

// forgiveClass makes two dead letters equal that differ in the class of the exception alone where Java's is none that
// says what is wrong with the data: a NullPointerException, or one of a builder of schemas. Their messages differ then.
func forgiveClass(java, own kafkatest.Record) {
	class := headerText(java, "exception.class.name")
	if class != "java.lang.NullPointerException" && class != "org.apache.kafka.connect.errors.SchemaBuilderException" {
		return
	}
	for _, letter := range []kafkatest.Record{java, own} {
		for i, h := range letter.Headers {
			if h.Key == "__connect.errors.exception.class.name" || h.Key == "__connect.errors.exception.message" {
				letter.Headers[i].Value = nil
			}
		}
	}
}

func headerText(record kafkatest.Record, name string) string {
	for _, h := range record.Headers {
		if h.Key == "__connect.errors."+name {
			return string(h.Value)
		}
	}
	return ""
}

// jsonError is a value that JsonConverter cannot write, with a message that is not what is tested.
var jsonError = regexp.MustCompile(`("\w+JsonError"):"(?:[^"\\]|\\.)*"`)

// canonical is a line of a sink with its members in order.
func canonical(t *testing.T, line string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return jsonError.ReplaceAllString(string(data), "$1")
}

var failedRecord = regexp.MustCompile(`Error encountered in task (?:java|go)-(\S+)-0\. Executing stage '(\w+)' with class '([^']+)'`)

// failuresOf are the stages and classes of the records that failed, by connector, in order.
func failuresOf(log string) map[string][]string {
	out := map[string][]string{}
	for _, found := range failedRecord.FindAllStringSubmatch(log, -1) {
		out[found[1]] = append(out[found[1]], found[2]+" "+found[3])
	}
	return out
}
