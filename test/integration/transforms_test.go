package integration

import (
	"fmt"
	"testing"
	"time"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// A mirror that keeps the records of one region by a field of their JSON value and adds headers: what is left out must
// not hold up the position, and a restart must bring nothing twice.
func TestAMirrorFiltersByAFieldOfTheValueAndAddsHeaders(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	orders := func(from, to int) (records []kafkatest.Record) {
		for i := from; i < to; i++ {
			region := []string{"eu", "us"}[i%2]
			records = append(records, kafkatest.Record{
				Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, `{"n":%d,"at":{"region":%q}}`, i, region), Timestamp: time.UnixMilli(int64(1_700_000_000_000 + i)),
				Headers: []kafkatest.Header{{Key: "own", Value: []byte{0xff, byte(i)}}, {Key: "null"}},
			})
		}
		return records
	}
	source.Produce("orders", orders(0, 100)...)
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, w)
	config := mirrorConfig(source, target, 1)
	for key, value := range map[string]string{
		"topics":     "orders",
		"transforms": "keep,origin,number",
		"predicates": "eu",

		"predicates.eu.type":              "tributary.predicates.RecordMatches",
		"predicates.eu.value.field":       "at.region",
		"predicates.eu.value.pattern":     "eu",
		"transforms.keep.type":            "org.apache.kafka.connect.transforms.Filter",
		"transforms.keep.predicate":       "eu",
		"transforms.keep.negate":          "true",
		"transforms.origin.type":          "org.apache.kafka.connect.transforms.InsertHeader",
		"transforms.origin.header":        "origin",
		"transforms.origin.value.literal": "site one",
		"transforms.number.type":          "InsertHeader",
		"transforms.number.header":        "number",
		"transforms.number.value.literal": "17",
	} {
		config[key] = value
	}
	w.API().Create("mirror", config)

	requireRegion := func(count int) {
		t.Helper()
		got := target.AwaitRecords("source.orders", count, cluster.Patience)[0]
		if len(got) != count {
			t.Fatalf("%d records, want %d", len(got), count)
		}
		for i, r := range got {
			n := 2 * i
			want := fmt.Sprintf(`key-%d {"n":%d,"at":{"region":"eu"}} %d`, n, n, 1_700_000_000_000+n)
			requireEqual(t, "record", want, fmt.Sprintf("%s %s %d", r.Key, r.Value, r.Timestamp.UnixMilli()))
			requireEqual(t, "headers", []kafkatest.Header{{Key: "own", Value: []byte{0xff, byte(n)}}, {Key: "null"},
				{Key: "origin", Value: []byte("site one")}, {Key: "number", Value: []byte("17")}}, r.Headers)
		}
	}
	requireRegion(50)
	awaitStored := func(offset int64) {
		t.Helper()
		kafkatest.Await(t, cluster.Patience, "the position behind the records left out", func() (bool, string) {
			stored := storedOffsets(t, target, "connect-offsets")
			return stored["orders-0"] == offset, fmt.Sprint(stored)
		})
	}
	awaitStored(99) // the last record of all was left out
	w.Stop()

	source.Produce("orders", orders(100, 102)...)
	cluster.Start(t, cluster.Distributed, workerFile(target))
	requireRegion(51)
	awaitStored(101)
	requireRegion(51)
}
