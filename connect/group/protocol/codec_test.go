package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/connect/group/assign"
)

func tasks(connector string, numbers ...int) []ConnectorTaskID {
	var ids []ConnectorTaskID
	for _, n := range numbers {
		ids = append(ids, ConnectorTaskID{Connector: connector, Task: n})
	}
	return ids
}

func TestWorkIsGroupedByConnectorInOrder(t *testing.T) {
	a := Assignment{
		Version: 1, Error: ConfigMismatch, Leader: "l", LeaderURL: "u", ConfigOffset: -1,
		Assigned: assign.Work{
			Connectors: []string{"b", "a", "b"},
			Tasks:      slices.Concat(tasks("c", 4), tasks("a", 3, 0), tasks("c", 1)),
		},
		Revoked: assign.Work{Connectors: []string{"z"}, Tasks: tasks("y", 2)},
		Delay:   300 * time.Second,
	}
	want := "0001" + "0001" + "00016c" + "000175" + "ffffffffffffffff" +
		"00000003" +
		"000162" + "00000001" + "ffffffff" +
		"000161" + "00000003" + "ffffffff" + "00000003" + "00000000" +
		"000163" + "00000002" + "00000004" + "00000001" +
		"00000002" +
		"00017a" + "00000001" + "ffffffff" +
		"000179" + "00000001" + "00000002" +
		"000493e0"

	data, err := EncodeAssignment(a)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(data); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}

	got, err := DecodeAssignment(data)
	if err != nil {
		t.Fatal(err)
	}
	a.Assigned.Connectors = []string{"b", "a"}
	a.Assigned.Tasks = slices.Concat(tasks("a", 3, 0), tasks("c", 4, 1))
	if !reflect.DeepEqual(got, a) {
		t.Errorf("decoded %+v, want %+v", got, a)
	}
	if !got.Failed() {
		t.Error("a config mismatch is a failure")
	}
}

func TestVersion0HasNeitherAllocationNorRevocations(t *testing.T) {
	held := Assignment{Version: 0, Leader: "l", LeaderURL: "u", ConfigOffset: 3,
		Assigned: assign.Work{Connectors: []string{"a"}, Tasks: tasks("a", 0)},
		Revoked:  assign.Work{Connectors: []string{"b"}},
		Delay:    time.Second,
	}

	assignment, err := EncodeAssignment(held)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := EncodeMetadata(Metadata{Version: 0, URL: "u", ConfigOffset: 3, Allocation: &held})
	if err != nil {
		t.Fatal(err)
	}

	wantAssignment := "0000" + "0000" + "00016c" + "000175" + "0000000000000003" +
		"00000001" + "000161" + "00000002" + "ffffffff" + "00000000"
	if got := hex.EncodeToString(assignment); got != wantAssignment {
		t.Errorf("assignment %s, want %s", got, wantAssignment)
	}
	wantMetadata := "0000" + "000175" + "0000000000000003"
	if got := hex.EncodeToString(metadata); got != wantMetadata {
		t.Errorf("metadata %s, want %s", got, wantMetadata)
	}
	decoded, err := DecodeAssignment(assignment)
	held.Revoked, held.Delay = assign.Work{}, 0
	if err != nil || !reflect.DeepEqual(decoded, held) {
		t.Errorf("decoded %+v, %v", decoded, err)
	}
	member, err := DecodeMetadata(metadata)
	if err != nil || !reflect.DeepEqual(member, Metadata{URL: "u", ConfigOffset: 3}) {
		t.Errorf("decoded %+v, %v", member, err)
	}
}

func TestDecodersTakeWhatJavaTakes(t *testing.T) {
	const head = "0001" + "0000" + "00016c" + "000175" + "0000000000000003"
	plain := Assignment{Version: 1, Leader: "l", LeaderURL: "u", ConfigOffset: 3}
	withWork := plain
	withWork.Assigned = assign.Work{Connectors: []string{"a"}}
	newer := plain
	newer.Version = 9
	for name, test := range map[string]struct {
		bytes string
		want  Assignment
	}{
		"no lists, no delay":     {head, plain},
		"null list":              {head + "ffffffff", plain},
		"null lists, no delay":   {head + "ffffffff" + "ffffffff", plain},
		"null lists and a delay": {head + "ffffffff" + "ffffffff" + "00000000", plain},
		"empty lists":            {head + "00000000" + "00000000" + "00000000", plain},
		"one list":               {head + "00000001" + "000161" + "00000001" + "ffffffff", withWork},
		"connector with nothing": {head + "00000001" + "000161" + "00000000", plain},
		"bytes after the end":    {head + "ffffffff" + "ffffffff" + "00000000" + "abcdef", plain},
		"a newer version":        {"0009" + head[4:], newer},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeAssignment(unhex(t, test.bytes))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}

	const member = "0002" + "000175" + "0000000000000003"
	want := Metadata{Version: 2, URL: "u", ConfigOffset: 3}
	for name, text := range map[string]string{
		"allocation missing": member,
		"allocation null":    member + "ffffffff",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeMetadata(unhex(t, text))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestDecodersRefuseNonsense(t *testing.T) {
	const head = "0001" + "0000" + "00016c" + "000175" + "0000000000000003"
	for name, text := range map[string]string{
		"nothing":                     "",
		"half a version":              "00",
		"negative version":            "ffff" + head[4:],
		"leader is null":              "0001" + "0000" + "ffff",
		"leader longer than the rest": "0001" + "0000" + "7fff" + "6c",
		"half an offset":              head[:len(head)-4],
		"half a count":                head + "0000",
		"count of two thousand million connectors":  head + "7fffffff" + "000161" + "00000000",
		"count of two thousand million tasks":       head + "00000001" + "000161" + "7fffffff" + "00000000",
		"null tasks":                                head + "00000001" + "000161" + "ffffffff",
		"null connector":                            head + "00000001" + "ffff" + "00000000",
		"task number below that of the connector":   head + "00000001" + "000161" + "00000001" + "fffffffe",
		"half a delay":                              head + "ffffffff" + "ffffffff" + "00",
		"connector count larger than what is there": head + "00000002" + "000161" + "00000000",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := DecodeAssignment(unhex(t, text)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}

	const member = "0002" + "000175" + "0000000000000003"
	for name, text := range map[string]string{
		"nothing":                         "",
		"negative version":                "8000" + member[4:],
		"URL is null":                     "0002" + "ffff",
		"half an offset":                  member[:len(member)-2],
		"allocation longer than the rest": member + "7fffffff" + "00",
		"allocation without bytes":        member + "00000000",
		"allocation is nonsense":          member + "00000002" + "ffff",
	} {
		t.Run("metadata: "+name, func(t *testing.T) {
			if got, err := DecodeMetadata(unhex(t, text)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestEncodersRefuseWhatDoesNotFit(t *testing.T) {
	long := strings.Repeat("x", 1<<15)
	for name, a := range map[string]Assignment{
		"negative version": {Version: -1},
		"long leader":      {Leader: long},
		"long connector":   {Assigned: assign.Work{Connectors: []string{long}}},
		"negative task":    {Assigned: assign.Work{Tasks: tasks("a", -1)}},
		"huge task":        {Version: 1, Revoked: assign.Work{Tasks: tasks("a", 1<<31)}},
		"huge delay":       {Version: 1, Delay: 1 << 31 * time.Millisecond},
	} {
		if data, err := EncodeAssignment(a); err == nil || data != nil {
			t.Errorf("%s: got %x, %v", name, data, err)
		}
	}
	for name, m := range map[string]Metadata{
		"negative version":  {Version: -1},
		"long URL":          {URL: long},
		"broken allocation": {Version: 1, Allocation: &Assignment{Leader: long}},
	} {
		if data, err := EncodeMetadata(m); err == nil || data != nil {
			t.Errorf("%s: got %x, %v", name, data, err)
		}
	}
}

func TestJoinOffersTheSameFactsOnceForEachSubprotocol(t *testing.T) {
	held, err := DecodeAssignment(unhex(t, followerAssignment))
	if err != nil {
		t.Fatal(err)
	}
	offered, err := Preferences("Sessioned")
	if err != nil {
		t.Fatal(err)
	}

	list, err := JoinProtocols(offered, Metadata{URL: "u", ConfigOffset: 7, Allocation: &held})
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for i, entry := range list {
		names = append(names, entry.Name)
		m, err := DecodeMetadata(entry.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		want := Metadata{Version: offered[i].Version, URL: "u", ConfigOffset: 7}
		if offered[i].Incremental() {
			allocation := held
			allocation.Version = offered[i].Version
			want.Allocation = &allocation
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("%s: got %+v, want %+v", entry.Name, m, want)
		}
	}
	if want := []string{"sessioned", "compatible", "default"}; !slices.Equal(names, want) {
		t.Errorf("offered %v, want %v", names, want)
	}
}

func TestPreferencesOfEachSetting(t *testing.T) {
	for setting, want := range map[string][]Subprotocol{
		"eager":      {{"default", 0}},
		"COMPATIBLE": {{"compatible", 1}, {"default", 0}},
		"sessioned":  {{"sessioned", 2}, {"compatible", 1}, {"default", 0}},
	} {
		if got, err := Preferences(setting); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", setting, got, err, want)
		}
	}
	if _, err := Preferences("default"); err == nil || !strings.Contains(err.Error(), `connect.protocol is "default"`) {
		t.Errorf("default is no setting: %v", err)
	}
}

func TestSubprotocolsByTheirNameOnTheWire(t *testing.T) {
	for name, want := range map[string]struct {
		version             int16
		incremental, signed bool
	}{
		"default":    {0, false, false},
		"compatible": {1, true, false},
		"sessioned":  {2, true, true},
	} {
		s, err := SubprotocolByName(name)
		if err != nil || s.Name != name || s.Version != want.version ||
			s.Incremental() != want.incremental || s.Signed() != want.signed {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
	if _, err := SubprotocolByName("eager"); err == nil {
		t.Error("eager is no name on the wire")
	}
}

func TestMerge(t *testing.T) {
	held := Assignment{Version: 1, Leader: "old", LeaderURL: "old", ConfigOffset: 3,
		Assigned: assign.Work{Connectors: []string{"a", "b"}, Tasks: tasks("a", 0, 1, 2)},
		Revoked:  assign.Work{Connectors: []string{"x"}},
		Delay:    time.Second,
	}
	received := Assignment{Version: 2, Error: 1, Leader: "new", LeaderURL: "url", ConfigOffset: 4,
		Assigned: assign.Work{Connectors: []string{"c"}, Tasks: tasks("c", 0)},
		Revoked:  assign.Work{Connectors: []string{"a"}, Tasks: tasks("a", 1)},
		Delay:    time.Minute,
	}
	merged := received
	merged.Assigned = assign.Work{
		Connectors: []string{"c", "b"},
		Tasks:      slices.Concat(tasks("c", 0), tasks("a", 0, 2)),
	}
	overlapping := received
	overlapping.Revoked = assign.Work{}
	overlapping.Assigned = assign.Work{Connectors: []string{"b"}, Tasks: tasks("a", 2)}
	united := overlapping
	united.Assigned = assign.Work{Connectors: []string{"b", "a"}, Tasks: tasks("a", 2, 0, 1)}

	for name, test := range map[string]struct {
		inForce  Subprotocol
		held     *Assignment
		received Assignment
		want     Assignment
	}{
		"comes on top of what is held and not revoked": {Sessioned, &held, received, merged},
		"works alike under the compatible subprotocol": {Compatible, &held, received, merged},
		"replaces everything under the default one":    {Default, &held, received, received},
		"starts from nothing":                          {Sessioned, nil, received, received},
		"takes work that is held already only once":    {Sessioned, &held, overlapping, united},
	} {
		t.Run(name, func(t *testing.T) {
			got := Merge(test.inForce, test.held, test.received)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
			for _, work := range []assign.Work{got.Assigned, got.Revoked} {
				for i := range work.Connectors {
					work.Connectors[i] = "scribble"
				}
			}
			if received.Revoked.Connectors[0] != "a" || received.Assigned.Connectors[0] != "c" ||
				held.Assigned.Connectors[0] != "a" {
				t.Error("the snapshot shares memory with its sources")
			}
		})
	}
}

func TestPlansBecomeAssignments(t *testing.T) {
	plan := assign.Plan{
		Leader: "l", LeaderURL: "u", ConfigOffset: 8, Delay: time.Second,
		Members: map[string]assign.Change{
			"w1": {Assigned: assign.Work{Connectors: []string{"a"}}},
			"w2": {Revoked: assign.Work{Tasks: tasks("a", 1)}},
		},
	}
	want := map[string]Assignment{
		"w1": {Version: 1, Leader: "l", LeaderURL: "u", ConfigOffset: 8, Delay: time.Second,
			Assigned: assign.Work{Connectors: []string{"a"}}},
		"w2": {Version: 1, Leader: "l", LeaderURL: "u", ConfigOffset: 8, Delay: time.Second,
			Revoked: assign.Work{Tasks: tasks("a", 1)}},
	}
	if got := Assignments(Compatible, plan); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	mismatch := assign.Plan{Leader: "l", LeaderURL: "u", ConfigOffset: 8, Mismatch: true,
		Members: map[string]assign.Change{"w1": {}}}
	want = map[string]Assignment{
		"w1": {Version: 0, Error: ConfigMismatch, Leader: "l", LeaderURL: "u", ConfigOffset: 8},
	}
	if got := Assignments(Default, mismatch); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzDecodeAssignment(f *testing.F) {
	for _, seed := range []string{leaderAssignment, followerAssignment, "00017fff", "0001"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := DecodeAssignment(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(first, Assignment{}) {
				t.Fatalf("got %+v, %v", first, err)
			}
			return
		}
		entries := len(first.Assigned.Connectors) + len(first.Assigned.Tasks) +
			len(first.Revoked.Connectors) + len(first.Revoked.Tasks)
		if entries*4 > len(data) {
			t.Fatalf("%d entries out of %d bytes", entries, len(data))
		}
		checkStable(t, first, EncodeAssignment, DecodeAssignment)
	})
}

func FuzzDecodeMetadata(f *testing.F) {
	for _, seed := range []string{leaderMetadata, followerMetadata, "0000000175", "0001"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := DecodeMetadata(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(first, Metadata{}) {
				t.Fatalf("got %+v, %v", first, err)
			}
			return
		}
		checkStable(t, first, EncodeMetadata, DecodeMetadata)
	})
}

// checkStable asks for bytes that decode to themselves: what was decoded can
// be sent on, and reaches the next reader unchanged.
func checkStable[T any](t *testing.T, first T, encode func(T) ([]byte, error), decode func([]byte) (T, error)) {
	t.Helper()
	once, err := encode(first)
	if err != nil {
		t.Fatalf("encode %+v: %v", first, err)
	}
	second, err := decode(once)
	if err != nil {
		t.Fatalf("decode %x again: %v", once, err)
	}
	twice, err := encode(second)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("encoded %x, then %x, %v", once, twice, err)
	}
}

// Each connector and task costs four bytes on the wire, so memory grows in
// proportion to the input, whatever counts it claims.
func TestMemoryIsBoundedByTheInput(t *testing.T) {
	const head = "0001" + "0000" + "00016c" + "000175" + "0000000000000003"
	const million = "000f4240"
	zeros := make([]byte, 4_000_000)
	for name, test := range map[string]struct {
		data  []byte
		valid bool
	}{
		"a million tasks in one entry": {append(unhex(t, head+"00000001"+"000161"+million), zeros...), true},
		"counts of what is not there":  {unhex(t, head+"00000001"+"000161"+"7fffffff"), false},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := DecodeAssignment(test.data)
			runtime.ReadMemStats(&after)

			if (err == nil) != test.valid {
				t.Fatalf("got %v", err)
			}
			// 24 bytes for a task, several times over as a list grows.
			most := uint64(64*len(test.data) + 64_000)
			if took := after.TotalAlloc - before.TotalAlloc; took > most {
				t.Errorf("%d bytes of input took %d bytes, want at most %d", len(test.data), took, most)
			}
		})
	}
}
