package cluster

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// Kafka is an embedded cluster, with its faults, and a client of it, for topics and records.
type Kafka struct {
	*localkafka.Cluster
	*kafkatest.Client

	tb TB
}

// StartKafka starts an embedded cluster that ends with the test. Its client logs in as the first superuser, where
// the cluster wants a login.
func StartKafka(tb TB, options localkafka.Options) *Kafka {
	tb.Helper()
	started, err := localkafka.Start(options)
	if err != nil {
		tb.Fatalf("start an embedded cluster: %v", err)
	}
	tb.Cleanup(started.Close)
	var login []kgo.Opt
	for _, user := range options.Users {
		if user.Super {
			login = append(login, kgo.SASL(mechanism(user)))
			break
		}
	}
	if options.TLS != nil {
		login = append(login, kgo.DialTLSConfig(options.TLS))
	}
	return &Kafka{Cluster: started, Client: kafkatest.Dial(tb, started.Bootstrap(), login...), tb: tb}
}

func mechanism(user localkafka.User) sasl.Mechanism {
	switch user.Mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user.Name, Pass: user.Password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user.Name, Pass: user.Password}.AsSha512Mechanism()
	}
	return plain.Auth{User: user.Name, Pass: user.Password}.AsMechanism()
}

// GoAway makes all brokers unreachable, until ComeBack. They keep what they hold.
func (k *Kafka) GoAway() {
	k.tb.Helper()
	k.eachBroker("stop", k.StopBroker)
}

// ComeBack undoes GoAway.
func (k *Kafka) ComeBack() {
	k.tb.Helper()
	k.eachBroker("start", k.StartBroker)
}

func (k *Kafka) eachBroker(what string, do func(node int32) error) {
	k.tb.Helper()
	for node := range k.NumBrokers() {
		if err := do(int32(node)); err != nil {
			k.tb.Fatalf("%s broker %d: %v", what, node, err)
		}
	}
}

// Records gives the number of records of a topic, all partitions together.
func (k *Kafka) Records(topic string) int {
	k.tb.Helper()
	total := 0
	for _, offsets := range k.Offsets(topic) {
		total += int(offsets.End - offsets.Start)
	}
	return total
}

// Numbered makes records with the keys and values from…to-1, dealt to the partitions in turn.
func Numbered(from, to int, partitions int32) []kafkatest.Record {
	records := make([]kafkatest.Record, 0, to-from)
	for i := from; i < to; i++ {
		records = append(records, kafkatest.Record{
			Partition: int32(i) % partitions, Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value-%d", i),
		})
	}
	return records
}
