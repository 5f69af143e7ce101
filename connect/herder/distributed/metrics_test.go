package distributed

import (
	"testing"
	"testing/synctest"

	"tributary/internal/metrics/metricstest"
)

func TestRebalanceMetricsAreThoseOfTheDocumentationAndGoWithTheWorker(t *testing.T) {
	catalogue := &metricstest.Catalogue{}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", func(o *Options, _ *runner) { o.Metrics = catalogue })
		c.start("b", nil)
		synctest.Wait()
		c.stop("a")
	})
	if left := catalogue.Left(); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	catalogue.Check(t, "../../../docs/metrics.md", "connect-worker-rebalance-metrics")
}
