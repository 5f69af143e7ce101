package javatext_test

import (
	"strconv"
	"strings"
	"testing"

	"tributary/connect"
	"tributary/internal/javatext"
)

func TestFieldsAreInHashMapOrder(t *testing.T) {
	names := strings.Fields("cluster partition topic group sourceClusterAlias targetClusterAlias AaAa AaBB BBAa BBBB é tasks.max name connector.class a b c d e f g h")
	// As Java prints them, but for names that share a bucket, which are sorted here.
	want := map[int]string{
		4:  "cluster partition topic group",
		6:  "cluster partition topic sourceClusterAlias group targetClusterAlias",
		12: "cluster partition tasks.max topic é sourceClusterAlias AaAa AaBB BBAa BBBB group targetClusterAlias",
		13: "cluster tasks.max é sourceClusterAlias targetClusterAlias partition name topic AaAa AaBB BBAa BBBB group",
		22: "connector.class a cluster b c d e f tasks.max g h é sourceClusterAlias targetClusterAlias partition name topic AaAa AaBB BBAa BBBB group",
	}
	m := map[string]any{}
	for _, name := range names {
		m[name] = 1
		if order, ok := want[len(m)]; ok {
			if got := strings.Join(javatext.HashMapKeys(m), " "); got != order {
				t.Errorf("%d fields:\ngot  %s\nwant %s", len(m), got, order)
			}
		}
	}
	big := map[string]any{}
	for i := range 200 {
		big["key."+strconv.Itoa(i)+".prop"] = i
	}
	if got := strings.Join(javatext.HashMapKeys(big)[:4], " "); got != "key.170.prop key.90.prop key.107.prop key.13.prop" {
		t.Errorf("200 fields begin %s", got)
	}
}

// The wanted orders were printed by java.util.HashMap of Java 17.
func TestEntriesAreInTheOrderOfAHashMapOfTheirCapacity(t *testing.T) {
	for _, c := range []struct {
		keys     []any
		capacity int
		want     string
	}{
		{[]any{"id", "name"}, 2, "name id"},
		{[]any{"id", "name", "region"}, 3, "name region id"},
		{[]any{int32(40), int32(-1), int32(17)}, 16, "-1 17 40"},
		{[]any{true, false}, 16, "false true"},
		{[]any{1.5, 2.5, -1.0}, 16, "-1.0 2.5 1.5"},
		{[]any{int64(1) << 33, int64(5)}, 16, "8589934592 5"},
	} {
		var entries connect.MapEntries
		for _, k := range c.keys {
			entries.Put(k, nil)
		}
		javatext.SortAsHashMap(entries, javatext.CapacityFor(c.capacity))
		var got []string
		for _, e := range entries {
			got = append(got, javatext.String(e.Key))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v: got %s, want %s", c.keys, text, c.want)
		}
	}
}
