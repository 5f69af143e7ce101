package protocol

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"tributary/connect/group/assign"
)

// The bytes below are those of two Java workers (4.3.1) in one group. The
// leader runs connector alpha with its task, the follower runs beta, whose
// task was the last thing assigned.
const (
	leaderID    = "connect-127.0.0.1:18084-c50d7869-d02a-4c14-9f45-0688f93f3c68"
	leaderURL   = "http://127.0.0.1:18084/"
	followerURL = "http://127.0.0.1:18085/"

	leaderMetadata = "" +
		"00020017687474703a2f2f3132372e302e302e313a31383038342f00000000000000070000008200020000003c636f6e6e6563742d3132372e302e30" +
		"2e313a31383038342d63353064373836392d643032612d346331342d396634352d3036383866393366336336380017687474703a2f2f3132372e302e" +
		"302e313a31383038342f0000000000000005000000010005616c70686100000002ffffffff000000000000000000000000"
	leaderAssignment = "" +
		"00020000003c636f6e6e6563742d3132372e302e302e313a31383038342d63353064373836392d643032612d346331342d396634352d303638386639" +
		"3366336336380017687474703a2f2f3132372e302e302e313a31383038342f0000000000000007000000000000000000000000"
	followerMetadata = "" +
		"00020017687474703a2f2f3132372e302e302e313a31383038352f00000000000000070000007d00020000003c636f6e6e6563742d3132372e302e30" +
		"2e313a31383038342d63353064373836392d643032612d346331342d396634352d3036383866393366336336380017687474703a2f2f3132372e302e" +
		"302e313a31383038342f00000000000000050000000100046265746100000001ffffffff0000000000000000"
	followerAssignment = "" +
		"00020000003c636f6e6e6563742d3132372e302e302e313a31383038342d63353064373836392d643032612d346331342d396634352d303638386639" +
		"3366336336380017687474703a2f2f3132372e302e302e313a31383038342f0000000000000007000000010004626574610000000100000000000000" +
		"0000000000"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fromLeader(offset int64, assigned assign.Work) Assignment {
	return Assignment{
		Version: 2, Leader: leaderID, LeaderURL: leaderURL, ConfigOffset: offset, Assigned: assigned,
	}
}

func TestMetadataOfJavaWorkers(t *testing.T) {
	alpha := fromLeader(5, assign.Work{
		Connectors: []string{"alpha"}, Tasks: []ConnectorTaskID{{Connector: "alpha", Task: 0}},
	})
	beta := fromLeader(5, assign.Work{Connectors: []string{"beta"}})
	for name, test := range map[string]struct {
		bytes string
		want  Metadata
	}{
		"leader":   {leaderMetadata, Metadata{Version: 2, URL: leaderURL, ConfigOffset: 7, Allocation: &alpha}},
		"follower": {followerMetadata, Metadata{Version: 2, URL: followerURL, ConfigOffset: 7, Allocation: &beta}},
	} {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, test.bytes)

			got, err := DecodeMetadata(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("decoded %+v, want %+v", got, test.want)
			}
			encoded, err := EncodeMetadata(test.want)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encoded, data) {
				t.Errorf("encoded %x, want %x", encoded, data)
			}
		})
	}
}

func TestAssignmentsOfAJavaLeader(t *testing.T) {
	for name, test := range map[string]struct {
		bytes string
		want  Assignment
	}{
		"nothing new": {leaderAssignment, fromLeader(7, assign.Work{})},
		"one task": {followerAssignment, fromLeader(7, assign.Work{
			Tasks: []ConnectorTaskID{{Connector: "beta", Task: 0}},
		})},
	} {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, test.bytes)

			got, err := DecodeAssignment(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("decoded %+v, want %+v", got, test.want)
			}
			encoded, err := EncodeAssignment(test.want)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encoded, data) {
				t.Errorf("encoded %x, want %x", encoded, data)
			}
		})
	}
}

// A leader that gets the metadata of the two Java workers has nothing to
// change but the missing task of beta, and sends what the Java leader sent.
func TestOurLeaderSendsWhatTheJavaLeaderSent(t *testing.T) {
	const followerID = "connect-127.0.0.1:18085-0"
	members := map[string]assign.Member{}
	for id, text := range map[string]string{leaderID: leaderMetadata, followerID: followerMetadata} {
		m, err := DecodeMetadata(unhex(t, text))
		if err != nil {
			t.Fatal(err)
		}
		members[id] = assign.Member{URL: m.URL, ConfigOffset: m.ConfigOffset, Held: m.Allocation.Assigned}
	}

	plan, _ := assign.Incremental(assign.Config{MaxDelay: 5 * time.Minute}, assign.State{}, assign.Round{
		Leader:        leaderID,
		Members:       members,
		Configured:    assign.Configured{Offset: 7, Connectors: map[string]int{"alpha": 1, "beta": 1}},
		Generation:    4,
		LastCompleted: 3,
		Now:           time.UnixMilli(1_700_000_000_000),
	})

	sent := Assignments(Sessioned, plan)
	for id, want := range map[string]string{leaderID: leaderAssignment, followerID: followerAssignment} {
		data, err := EncodeAssignment(sent[id])
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(data); got != want {
			t.Errorf("%s is sent %s, want %s", id, got, want)
		}
	}
}
