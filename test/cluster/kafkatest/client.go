package kafkatest

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// callTimeout bounds each call to a cluster. It is long because a broker of a busy test machine may be slow.
const callTimeout = 60 * time.Second

// lastFetchByName is the last version of Fetch that names topics; later ones want topic ids.
const lastFetchByName = 12

// Client talks to one cluster on behalf of one test. It is closed when the test ends.
type Client struct {
	tb    TB
	seeds []string
	opts  []kgo.Opt
	cl    *kgo.Client
	admin *kadm.Client
}

// Dial returns a client of the cluster at bootstrap, a comma-separated list of host:port. Options are franz-go's,
// for TLS, SASL or a compression codec. Nothing is sent yet.
func Dial(tb TB, bootstrap string, opts ...kgo.Opt) *Client {
	tb.Helper()
	c := &Client{tb: tb, seeds: strings.Split(bootstrap, ","), opts: opts}
	c.cl = c.open()
	c.admin = kadm.NewClient(c.cl)
	return c
}

// open makes a franz-go client with the options every client of the harness shares, closed when the test ends.
func (c *Client) open(more ...kgo.Opt) *kgo.Client {
	c.tb.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), lastFetchByName)
	opts := []kgo.Opt{
		kgo.MaxVersions(versions),
		kgo.SeedBrokers(c.seeds...),
		kgo.ClientID("kafkatest"),
		// Records go where the test says, and one Produce call makes one batch a partition.
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ManualFlushing(),
		kgo.WithHooks(sortedHook{}),
		kgo.MaxBufferedRecords(1 << 22),
		// A topic that is not there is a mistake of the test, or a moment to wait for: say so at once.
		kgo.UnknownTopicRetries(2),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	cl, err := kgo.NewClient(append(append(opts, c.opts...), more...)...)
	if err != nil {
		c.tb.Fatalf("make a Kafka client for %s: %v", strings.Join(c.seeds, ","), err)
	}
	c.tb.Cleanup(cl.Close)
	return cl
}

// Admin gives franz-go's admin client, for what has no helper here.
func (c *Client) Admin() *kadm.Client { return c.admin }

func (c *Client) callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.tb.Context(), callTimeout)
}
