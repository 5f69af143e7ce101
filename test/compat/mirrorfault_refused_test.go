package compat

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"tributary/api"
)

// targetRefusesARecord: a record that is too large for the copy's max.message.bytes stops its partition alone until it
// is taken, or is left out, or goes to the topic for such records, as on.record.error says.
func targetRefusesARecord(t *testing.T, f *faults) {
	f.src.CreateTopic("refused", 2, nil)
	big := string(noise(0, 4000))
	f.write("refused", 0, "0", big, "2")
	f.write("refused", 1, "a")
	ownConfigs := map[string]string{"sync.topic.configs.enabled": "false"}
	var stopping []string
	for lane := range lanes {
		stopping = append(stopping, lane+"-refused")
	}
	for _, name := range append(slices.Clone(stopping), "skip", "letter", "named-letter") {
		f.dst.CreateTopic(name+".refused", 2, map[string]string{"max.message.bytes": "2000"})
	}
	for lane, keys := range lanes {
		f.mirror(lane+"-refused", "refused", keys, ownConfigs)
	}
	f.mirror("skip", "refused", ownConfigs, map[string]string{"on.record.error": "skip"})
	f.mirror("letter", "refused", ownConfigs, map[string]string{"on.record.error": "dead.letter"})
	f.mirror("named-letter", "refused", ownConfigs, map[string]string{"on.record.error": "dead.letter", "dead.letter.topic.name": "letters"})

	for _, name := range stopping {
		f.awaitRow(name, "refused", 0, "the stop", func(r api.ReplicatedPartition) bool {
			return r.Stopped && strings.Contains(r.LastError, "is larger than max.message.bytes") &&
				r.MirroredUpTo != nil && *r.MirroredUpTo == 1 && r.LagRecords != nil && *r.LagRecords == 2
		})
		f.awaitLine("ERROR", "["+name+"|task-0]", "A partition is not mirrored further for now", "topic=refused partition=0 offset=1")
		f.awaitMetric("stopped_partitions", name, 1)
	}
	f.write("refused", 1, "b")
	for _, name := range stopping {
		f.awaitValues(name+".refused", 1, "a", "b")
		// Without idempotence, the default of the record lane as of Java, what was in flight behind the record may be
		// there already. It comes again, in its place.
		early := f.values(name+".refused", 0)
		if want := []string{"0"}; !slices.Equal(early, want) && !(strings.HasPrefix(name, "record") && slices.Equal(early, append(want, "2"))) {
			t.Errorf("%s.refused-0 holds %q while the record waits", name, early)
		}
		if status, err := f.w.Status(t.Context(), name); err != nil || status.Tasks[0].State != "RUNNING" {
			t.Errorf("%s: %+v, %v, want its task to run", name, status, err)
		}
		alter(t, f.dst, name+".refused", "max.message.bytes", "10000")
		f.awaitValues(name+".refused", 0, append(early, big, "2")...)
		f.awaitRow(name, "refused", 0, "no lag", even(3))
		f.awaitMetric("stopped_partitions", name, 0)
	}

	for name, kind := range map[string]string{"skip": "skipped", "letter": "dead-letter", "named-letter": "dead-letter"} {
		f.awaitRow(name, "refused", 0, "the gap", func(r api.ReplicatedPartition) bool {
			return even(3)(r) && len(r.Gaps) == 1 && r.Gaps[0].Kind == kind && r.Gaps[0].From == 1 && r.Gaps[0].To == 2 &&
				r.Lane == "record" && strings.Contains(r.LaneReason, "on.record.error") && strings.Contains(r.LastError, "max.message.bytes")
		})
		// As above, what was in flight behind the record may have arrived twice.
		if got := f.values(name+".refused", 0); !slices.Equal(slices.Compact(got), []string{"0", "2"}) {
			t.Errorf("%s.refused-0 holds %q", name, got)
		}
		f.awaitValues(name+".refused", 1, "a", "b")
		f.awaitMetric("gap_count", name, 1)
		f.awaitLine("ERROR", "["+name+"|task-0]", "A record is left out because the target refuses it", "offset=1", "kind="+kind)
	}
	for topic, connector := range map[string]string{"letter.dead-letter": "letter", "letters": "named-letter"} {
		letters := f.dst.AwaitRecords(topic, 1, patience)
		if len(letters) != 1 || len(letters[0]) != 1 || string(letters[0][0].Value) != big {
			t.Fatalf("%s holds %v, want the one large record in its one partition", topic, letters)
		}
		headers := map[string]string{}
		for _, h := range letters[0][0].Headers {
			headers[strings.TrimPrefix(h.Key, "__connect.errors.")] = string(h.Value)
		}
		want := map[string]string{
			"topic": "refused", "partition": "0", "offset": "1", "connector.name": connector, "task.id": "0", "stage": "KAFKA_PRODUCE",
			"class.name":           "org.apache.kafka.connect.mirror.MirrorSourceTask",
			"exception.class.name": "org.apache.kafka.common.errors.RecordTooLargeException",
		}
		if message := headers["exception.message"]; !strings.Contains(message, "max.message.bytes") || !strings.Contains(headers["exception.stacktrace"], message) {
			t.Errorf("the headers of the letter in %s say %v", topic, headers)
		}
		delete(headers, "exception.message")
		delete(headers, "exception.stacktrace")
		if !maps.Equal(headers, want) {
			t.Errorf("the headers of the letter in %s are %v, want %v", topic, headers, want)
		}
	}
}
