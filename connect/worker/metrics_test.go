package worker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/metrics/metricstest"
	"tributary/storage"
)

func TestMetricsAreThoseOfTheDocumentationAndGoWithTheirInstance(t *testing.T) {
	catalogue := &metricstest.Catalogue{}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.Metrics = catalogue
		b.Worker = New(b.options)
		b.withUpper(t, &upper{})
		b.beginConnector(t, storage.Started)
		b.beginTask(t, "transforms", "u", "transforms.u.type", "acme.Upper", "transforms.u.predicate", "one", "predicates", "one", "predicates.one.type", "OnPartition")
		synctest.Wait()
		b.StopConnectors(t.Context(), "c")
		b.StopTasks(t.Context(), b.task)
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if left := catalogue.Left(); len(left) > 0 {
			t.Errorf("left are %q", left)
		}
	})
	task := taskScope(&Options{Metrics: catalogue}, connect.TaskID{Connector: "c"})
	newTransactionSize(task)
	newSinkMetrics(task)
	task.close()
	for _, group := range []string{
		"connect-worker-metrics", "connector-metrics", "connector-task-metrics", "connector-transform-metrics", "connector-predicate-metrics",
		"source-task-metrics", "sink-task-metrics", "task-error-metrics",
	} {
		catalogue.Check(t, "../../docs/metrics.md", group)
	}
}

func TestMetricsOfATaskFollowWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(t), &meter{}
		b.options.Metrics = m
		b.Worker = New(b.options)
		read := func(name string) float64 { return m.read("kafka_connect_" + name) }
		check := func(want map[string]float64) {
			t.Helper()
			for name, value := range want {
				if got := read(name); fmt.Sprint(got) != fmt.Sprint(value) {
					t.Errorf("%s is %v, want %v", name, got, value)
				}
			}
		}
		b.beginTask(t)
		synctest.Wait()
		b.source.batches <- []*connect.SourceRecord{record("a", 1, 0), record("b", 1, 1)}
		b.source.batches <- []*connect.SourceRecord{record("a", 2, 0), record("a", 3, 0), record("a", 4, 0), record("a", 5, 0)}
		synctest.Wait()
		const labels = " connector=c task=0"
		check(map[string]float64{
			"source_task_metrics_source_record_poll_total" + labels: 6, "source_task_metrics_source_record_write_total" + labels: 6,
			"source_task_metrics_source_record_poll_rate" + labels: 0.2, "source_task_metrics_source_record_write_rate" + labels: 0.2,
			"connector_task_metrics_batch_size_max" + labels: 4, "connector_task_metrics_batch_size_avg" + labels: 3,
			"connector_task_metrics_status connector=c status=running task=0": 1,
			"connect_worker_metrics_task_count":                               1, "connect_worker_metrics_connector_count": 0,
			"connect_worker_metrics_task_startup_attempts_total": 1, "connect_worker_metrics_task_startup_success_percentage": 1,
			"connect_worker_metrics_connector_running_task_count connector=c": 1, "connect_worker_metrics_connector_paused_task_count connector=c": 0,
		})

		time.Sleep(b.options.Config.FlushInterval) // one minute
		synctest.Wait()
		b.SetTargetState("c", storage.Paused)
		synctest.Wait()
		time.Sleep(time.Minute)
		check(map[string]float64{
			"connector_task_metrics_running_ratio" + labels: 0.5, "connector_task_metrics_pause_ratio" + labels: 0.5,
			"connector_task_metrics_status connector=c status=paused task=0":  1,
			"connector_task_metrics_status connector=c status=running task=0": 0, // it is gone
			"source_task_metrics_source_record_poll_rate" + labels:            0,
			"connect_worker_metrics_connector_paused_task_count connector=c":  1,
		})
		if err := b.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if len(m.values)+len(m.shown) != 0 {
			t.Errorf("left are %v and %v", m.values, m.shown)
		}
	})
}
