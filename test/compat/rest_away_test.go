package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// timedOut is Java's message when a request has taken 90 s, or /health 10 s. It tells the stage that the worker is in, if
// it is in one at that moment.
var timedOut = regexp.MustCompile(`^(Request timed out|Worker was unable to handle this request and may be unable to handle other requests)` +
	`(\.|\. The worker is currently [a-z ]+, which began at [0-9T:.-]+Z\.|\. The last operation the worker completed was [a-z ]+, which began at [0-9T:.-]+Z and completed at [0-9T:.-]+Z\.)?$`)

// TestRequestsWhileTheBrokerIsAway: the broker of a Java worker and of a Tributary worker does not answer any more, and
// both have lost their groups. What has to wait for the group times out on both, with the stage that the worker is in.
func TestRequestsWhileTheBrokerIsAway(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	r := startRestPair(t, &pair{source: cluster, target: cluster}, "away", nil)
	r.compare([]string{
		`POST /connectors {"name":"beats","config":` + heartbeatConfig + `}`,
		`until "RUNNING" GET /connectors/beats/tasks/0/status`,
	})
	broker := cluster.Brokers()[0].Process()
	if err := broker.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	kafkatest.Await(t, patience, "both workers to be unhealthy", func() (bool, string) {
		answers := r.askAtOnce("GET /health")[0]
		return !slices.ContainsFunc(answers[:], func(a reply) bool {
			return a.status != http.StatusInternalServerError || !timedOut.MatchString(a.message)
		}), fmt.Sprint(answers)
	})

	waits := reply{http.StatusInternalServerError, "timed out"}
	writes := reply{http.StatusInternalServerError, "Error writing"}
	answered := func(status int) reply { return reply{status: status} }
	questions := []struct {
		line            string
		java, tributary reply
	}{
		{`GET /connectors/beats/offsets`, waits, waits},
		{`PUT /connectors/beats/config ` + heartbeatConfig, waits, waits},
		{`POST /connectors {"name":"more","config":` + heartbeatConfig + `}`, waits, waits},
		{`PUT /connectors/beats/stop`, waits, waits},
		{`POST /connectors/beats/restart?includeTasks=true`, waits, waits},
		{`DELETE /connectors/none`, waits, waits},
		// Java's producer gives up after 30 s; Tributary writes nothing while it is not in its group.
		{`PUT /connectors/beats/pause`, writes, waits},
		{`PUT /admin/loggers/org.example?scope=cluster {"level":"INFO"}`, writes, waits},
		// Whom to ask is not known, which Tributary says after some seconds, with Retry-After.
		{`POST /connectors/beats/restart`, waits, reply{http.StatusConflict, "no known leader URL"}},
		{`POST /connectors/beats/tasks/0/restart`, waits, reply{http.StatusConflict, "no known leader URL"}},
		// What was read before.
		{`GET /connectors/beats`, waits, answered(http.StatusOK)},
		{`GET /connectors/beats/config`, waits, answered(http.StatusOK)},
		{`GET /connectors/beats/tasks`, waits, answered(http.StatusOK)},
		{`GET /connectors/none`, waits, answered(http.StatusNotFound)},
		{`GET /`, answered(http.StatusOK), answered(http.StatusOK)},
		{`GET /connectors?expand=status&expand=info`, answered(http.StatusOK), answered(http.StatusOK)},
		{`GET /connectors/beats/status`, answered(http.StatusOK), answered(http.StatusOK)},
		{`GET /connectors/beats/topics`, answered(http.StatusOK), answered(http.StatusOK)},
		{`GET /connector-plugins`, answered(http.StatusOK), answered(http.StatusOK)},
		{`PUT /connector-plugins/MirrorHeartbeatConnector/config/validate ` + heartbeatConfig, answered(http.StatusOK), answered(http.StatusOK)},
		{`GET /admin/loggers/root`, answered(http.StatusOK), answered(http.StatusOK)},
	}
	var lines []string
	for _, q := range questions {
		lines = append(lines, q.line)
	}
	for i, answers := range r.askAtOnce(lines...) {
		for side, want := range []reply{questions[i].java, questions[i].tributary} {
			got := answers[side]
			if got.status != want.status || !strings.Contains(got.message, want.message) || want == waits && !timedOut.MatchString(got.message) {
				t.Errorf("%s at %s: %+v, want %+v", lines[i], r.bases()[side], got, want)
			}
		}
	}

	if err := broker.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.awaitReady()
	// Java does now what was asked for while it waited, and answers some requests with 500 while that asks for rebalances.
	r.compare([]string{`until "200{" GET /connectors/beats/offsets`, `until "200[" GET /connectors/beats/tasks`})
	r.stop()
}

// reply is what a worker has answered: the message is empty unless it is an error or an answer about health.
type reply struct {
	status  int
	message string
}

// askAtOnce sends all requests at once, each to the Java worker and to the Tributary worker, whose replies are in this
// order.
func (r *restPair) askAtOnce(lines ...string) [][2]reply {
	r.t.Helper()
	replies := make([][2]reply, len(lines))
	var asked sync.WaitGroup
	for i, line := range lines {
		for side, base := range r.bases() {
			asked.Go(func() {
				response, body, err := send(r.t.Context(), base, r.fill.Replace(line))
				if err != nil {
					r.t.Errorf("%s at %s: %v", line, base, err)
					return
				}
				var told struct{ Message string }
				_ = json.Unmarshal(body, &told) // lists have no message
				replies[i][side] = reply{response.StatusCode, told.Message}
			})
		}
	}
	asked.Wait()
	return replies
}
