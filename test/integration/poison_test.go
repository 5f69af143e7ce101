package integration

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"

	"tributary/api"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func TestPluginsThatCannotBeAreRefusedWithTheKeyTheValueAndWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	in := filepath.Join(t.TempDir(), "in.txt")
	appendLines(t, in, "one")
	good := map[string]string{"connector.class": fileSource, "file": in, "topic": "t"}
	const transforms = "org.apache.kafka.connect.transforms."
	requireRefusals(t, good, map[string]badConfig{
		"an unknown transformation":       {map[string]string{"transforms": "x", "transforms.x.type": "com.example.Missing"}, []string{"transforms.x.type", "com.example.Missing"}},
		"a converter as transformation":   {map[string]string{"transforms": "x", "transforms.x.type": "org.apache.kafka.connect.json.JsonConverter"}, []string{"transforms.x.type", "org.apache.kafka.connect.json.JsonConverter"}},
		"a transformation without type":   {map[string]string{"transforms": "x"}, []string{"transforms.x.type"}},
		"a missing key":                   {map[string]string{"transforms": "x", "transforms.x.type": transforms + "Cast$Value"}, []string{"spec", "no default value"}},
		"a wrong value":                   {map[string]string{"transforms": "x", "transforms.x.type": transforms + "Cast$Value", "transforms.x.spec": "int7"}, []string{"spec", "int7"}},
		"a predicate that is not listed":  {map[string]string{"transforms": "x", "transforms.x.type": transforms + "Filter", "transforms.x.predicate": "p"}, []string{"Invalid value p for configuration transforms.x.predicate: It is not listed in predicates"}},
		"an unknown predicate":            {map[string]string{"predicates": "p", "predicates.p.type": "com.example.Missing"}, []string{"predicates.p.type", "com.example.Missing"}},
		"an unknown converter":            {map[string]string{"value.converter": "com.example.Missing"}, []string{"value.converter", "com.example.Missing"}},
		"a transformation as converter":   {map[string]string{"key.converter": transforms + "Filter"}, []string{transforms + "Filter does not implement the Converter interface"}},
		"a header converter as converter": {map[string]string{"value.converter": "SimpleHeaderConverter"}, []string{"SimpleHeaderConverter does not implement the Converter interface"}},
		"settings of a converter":         {map[string]string{"value.converter": "JsonConverter", "value.converter.schemas.enable": "perhaps"}, []string{"schemas.enable", "perhaps"}},
		"several at once": {map[string]string{"errors.tolerance": "some", "errors.retry.timeout": "soon", "transforms": "x", "transforms.x.type": "com.example.Missing"},
			[]string{"errors.tolerance", "some", "errors.retry.timeout", "soon", "transforms.x.type", "com.example.Missing"}},
	}, w)
	w.API().AwaitConnectors()
}

// A line that cannot be cast: without tolerance the task fails before it and what follows; with it, it is left out,
// counted and told.
func TestPoisonRecordsOfASourceUnderEachTolerance(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"none": 1, "all": 1}})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text))
	awaitHealthy(t, w)
	a := w.API()
	in := filepath.Join(t.TempDir(), "in.txt")
	appendLines(t, in, "1", "poison", "3")
	for _, tolerance := range []string{"none", "all"} {
		a.Create(tolerance, map[string]string{
			"connector.class": fileSource, "file": in, "topic": tolerance, "errors.tolerance": tolerance, "errors.log.enable": "true", "errors.log.include.messages": fmt.Sprint(tolerance == "all"),
			"transforms": "cast", "transforms.cast.type": "org.apache.kafka.connect.transforms.Cast$Value", "transforms.cast.spec": "int8",
		})
	}
	status := a.AwaitStatus("none", "the task to fail", func(s api.ConnectorStatus) bool { return len(s.Tasks) == 1 && s.Tasks[0].State == "FAILED" })
	requireText(t, status.Tasks[0].Trace, "Tolerance exceeded in error handler", "TRANSFORMATION", "org.apache.kafka.connect.transforms.Cast$Value", "poison")
	requireEqual(t, "state of the connector", "RUNNING", status.Connector.State)
	values := func(topic string, count int) (out []string) {
		t.Helper()
		for _, r := range k.AwaitRecords(topic, count, cluster.Patience)[0] {
			out = append(out, string(r.Value))
		}
		return out
	}
	requireEqual(t, "records with tolerance", []string{"1", "3"}, values("all", 2))
	requireEqual(t, "records without tolerance", []string{"1"}, values("none", 1))
	a.AwaitState("all", "RUNNING", 1)
	w.Log.Await("[all|task-0]", "TRANSFORMATION", "Cast$Value")

	metric := func(name, connector string) string {
		response, err := http.Get(a.BaseURL + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		found := regexp.MustCompile(name + `\{[^}]*connector="` + connector + `"[^}]*\} (\S+)`).FindStringSubmatch(string(body))
		if found == nil {
			return "none"
		}
		return found[1]
	}
	kafkatest.Await(t, cluster.Patience, "the metrics of the tolerant task", func() (bool, string) {
		seen := fmt.Sprintf("failures %s errors %s skipped %s logged %s", metric("task_error_metrics_total_record_failures", "all"), metric("task_error_metrics_total_record_errors", "all"),
			metric("task_error_metrics_total_records_skipped", "all"), metric("task_error_metrics_total_errors_logged", "all"))
		return seen == "failures 1 errors 1 skipped 1 logged 1", seen
	})
}
