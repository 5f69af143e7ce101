package mirror

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"

	"tributary/test/cluster/kafkatest"
)

// lanes runs the tests twice: the mirror promises the same in both lanes. The second run leaves out what moves
// no records.
type lanes struct{ m *testing.M }

// rawLane says which lane the tasks under test take.
var rawLane bool

// Run implements goleak.TestingM.
func (l lanes) Run() int {
	if code := l.m.Run(); code != 0 {
		return code
	}
	if run := flag.Lookup("test.run"); run.Value.String() == "" {
		if err := run.Value.Set("Refused|Record|Restart|Topic|Tasks|Sync|Source|Stored|Partition|Delay|Loss|Batch|Deleted|MadeAnew|Fresh|Start|Truncated"); err != nil {
			panic(err)
		}
	}
	rawLane = true
	if _, err := os.Stdout.WriteString("=== the same in the raw lane\n"); err != nil {
		panic(err)
	}
	return l.m.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(lanes{m}, kafkatest.LeftByKfake()) }
