package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

// DefaultByBroker leaves a topic's partition count or replication factor to the broker.
const DefaultByBroker = -1

// TopicSpec describes a topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int32 // or DefaultByBroker
	ReplicationFactor int16 // or DefaultByBroker
	Configs           map[string]string
}

// CreateTopic creates a topic. errors.Is knows ErrTopicExists, ErrInvalidConfig,
// ErrInvalidReplicationFactor and ErrPolicyViolation; missing rights are an *AuthorizationError.
func (a *Admin) CreateTopic(ctx context.Context, spec TopicSpec) error {
	return a.createTopics(ctx, "creating the topic "+spec.Name, []TopicSpec{spec})[0]
}

// CreateTopics creates topics with as few requests as possible, which for a controller is much cheaper
// than a request for each. The errors are those of CreateTopic, in the order of the specs, whose names
// must differ; one topic's failure does not touch the others.
func (a *Admin) CreateTopics(ctx context.Context, specs []TopicSpec) []error {
	errs := make([]error, 0, len(specs))
	for len(specs) > 0 {
		n := together(specs)
		errs = append(errs, a.createTopics(ctx, fmt.Sprintf("creating %d topics", n), specs[:n])...)
		specs = specs[n:]
	}
	return errs
}

// A controller refuses requests for more than 10,000 partitions, and takes no other while it works on one.
const (
	topicsTogether     = 100
	partitionsTogether = 2000
)

// together is how many of the specs, one at least, go into one request.
func together(specs []TopicSpec) int {
	n, partitions := 0, int32(0)
	for _, spec := range specs {
		partitions += max(spec.Partitions, 1)
		if n > 0 && (n == topicsTogether || partitions > partitionsTogether) {
			break
		}
		n++
	}
	return n
}

// createTopics tries again for those topics whose failure may pass.
func (a *Admin) createTopics(ctx context.Context, what string, specs []TopicSpec) []error {
	errs := make([]error, len(specs))
	unsure := make([]bool, len(specs)) // whether an answer was lost
	open := make([]int, len(specs))
	for i := range specs {
		open[i] = i
	}
	failure := a.client.retry(ctx, what, func() error {
		err := a.client.onController(ctx, func(b *sarama.Broker) error {
			details := make(map[string]*sarama.TopicDetail, len(open))
			for _, i := range open {
				details[specs[i].Name] = specs[i].detail()
			}
			resp, err := b.CreateTopics(sarama.NewCreateTopicsRequest(sarama.MaxVersion, details, a.cfg.RequestTimeout, false))
			if err != nil {
				return err
			}
			var again error
			for _, i := range open {
				errs[i] = a.createdTopic(resp, specs[i].Name)
				if unsure[i] && errors.Is(errs[i], ErrTopicExists) {
					errs[i] = nil // created by the attempt whose answer was lost
				}
				unsure[i] = unsure[i] || errors.Is(errs[i], ErrRequestTimedOut)
				if again == nil && IsRetriable(errs[i]) {
					again = errs[i]
				}
			}
			open = slices.DeleteFunc(open, func(i int) bool { return !IsRetriable(errs[i]) })
			return again
		})
		if broken(err) {
			for _, i := range open {
				unsure[i] = true
			}
		}
		return err
	})
	for _, i := range open {
		errs[i] = failure
	}
	for i, err := range errs {
		if err != nil && !slices.Contains(open, i) {
			errs[i] = fmt.Errorf("creating the topic %s: %w", specs[i].Name, err)
		}
	}
	return errs
}

func (s TopicSpec) detail() *sarama.TopicDetail {
	detail := &sarama.TopicDetail{
		NumPartitions:     s.Partitions,
		ReplicationFactor: s.ReplicationFactor,
		ConfigEntries:     make(map[string]*string, len(s.Configs)),
	}
	for k, v := range s.Configs {
		detail.ConfigEntries[k] = &v
	}
	return detail
}

// createdTopic is what the controller says of one topic.
func (a *Admin) createdTopic(resp *sarama.CreateTopicsResponse, name string) error {
	result, ok := resp.TopicErrors[name]
	if !ok {
		return fmt.Errorf("the broker did not answer about the topic %s", name)
	}
	return a.cfg.answerError(result.Err, result.ErrMsg, OpCreate, name)
}

// FitReplicas is the replication factor for new topics where the user set none: wanted, or the number
// of brokers where there are fewer. That is said in one line a cluster, however many clients ask.
func (a *Admin) FitReplicas(ctx context.Context, wanted int16) (int16, error) {
	if wanted <= 1 { // 1 fits everywhere, DefaultByBroker is the broker's affair
		return wanted, nil
	}
	brokers, err := a.BrokerCount(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting the brokers: %w", err)
	}
	if brokers < 1 || int(wanted) <= brokers {
		return wanted, nil
	}
	if _, said := smallClusters.LoadOrStore(a.client.Bootstrap(), true); !said {
		a.logger.Warn("The cluster has fewer brokers than the default replication factor: where the configuration sets none, new topics get one replica a broker",
			"brokers", brokers, "default", wanted, "cluster", a.client.Bootstrap())
	}
	return int16(brokers), nil
}

// smallClusters are those, by bootstrap servers, of which it was said that they have few brokers.
var smallClusters sync.Map

// CreateCompactedTopic creates a topic with cleanup.policy=compact unless it exists, as Connect does
// for its internal topics. extra are further topic configurations and win. With fewer brokers than
// rf it fails with ErrInvalidReplicationFactor.
//
// Missing rights to create are an *AuthorizationError; the topic may exist all the same.
func (a *Admin) CreateCompactedTopic(ctx context.Context, name string, partitions int32, rf int16, extra map[string]string) (created bool, err error) {
	configs := map[string]string{"cleanup.policy": "compact"}
	maps.Copy(configs, extra)
	err = a.CreateTopic(ctx, TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: rf, Configs: configs})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrTopicExists):
		return false, nil
	case errors.Is(err, ErrUnsupportedVersion):
		a.logger.Debug("the broker cannot create topics over the wire; the topic must exist", "topic", name)
		return false, nil
	}
	return false, err
}

// DeleteTopics deletes topics. The map holds the failures by topic.
func (a *Admin) DeleteTopics(ctx context.Context, names ...string) (map[string]error, error) {
	failed := make(map[string]error)
	err := a.client.retry(ctx, "deleting topics", func() error {
		clear(failed)
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.DeleteTopics(sarama.NewDeleteTopicsRequest(sarama.MaxVersion, names, a.cfg.RequestTimeout))
			if err != nil {
				return err
			}
			for name, code := range resp.TopicErrorCodes {
				if code == sarama.ErrNotController {
					return a.cfg.answerError(code, nil, OpDelete, name)
				}
				if err := a.cfg.answerError(code, nil, OpDelete, name); err != nil {
					failed[name] = err
				}
			}
			return nil
		})
	})
	return failed, err
}

// CreatePartitions raises the partition count of a topic to total. errors.Is knows
// ErrInvalidPartitions (not more than there are) and ErrUnknownTopicOrPartition.
func (a *Admin) CreatePartitions(ctx context.Context, topic string, total int32) error {
	return a.client.retry(ctx, "adding partitions to "+topic, func() error {
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.CreatePartitions(&sarama.CreatePartitionsRequest{
				Version:         3,
				TopicPartitions: map[string]*sarama.TopicPartition{topic: {Count: total}},
				Timeout:         a.cfg.RequestTimeout,
			})
			if err != nil {
				return err
			}
			result, ok := resp.TopicPartitionErrors[topic]
			if !ok {
				return fmt.Errorf("the broker did not answer about the topic %s", topic)
			}
			err = a.cfg.answerError(result.Err, result.ErrMsg, OpAlter, topic)
			if errors.Is(err, ErrUnknownTopicOrPartition) {
				return final{err}
			}
			return err
		})
	})
}

// final marks an error that is not worth another try although its code says so.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// DeleteRecords moves the start of partitions up to the given offsets and returns the new starts.
func (a *Admin) DeleteRecords(ctx context.Context, before map[TopicPartition]int64) (map[TopicPartition]int64, map[TopicPartition]error, error) {
	return byLeader(ctx, a.client, "deleting records", OpDeleteRecords, before, true, func(b *sarama.Broker, part map[TopicPartition]int64) (map[TopicPartition]outcome[int64], error) {
		req := &sarama.DeleteRecordsRequest{Version: 2, Topics: map[string]*sarama.DeleteRecordsRequestTopic{}, Timeout: a.cfg.RequestTimeout}
		for tp, offset := range part {
			t := req.Topics[tp.Topic]
			if t == nil {
				t = &sarama.DeleteRecordsRequestTopic{PartitionOffsets: map[int32]int64{}}
				req.Topics[tp.Topic] = t
			}
			t.PartitionOffsets[tp.Partition] = offset
		}
		resp, err := b.DeleteRecords(req)
		if err != nil {
			return nil, err
		}
		got := make(map[TopicPartition]outcome[int64])
		for topic, t := range resp.Topics {
			for p, r := range t.Partitions {
				got[TopicPartition{topic, p}] = outcome[int64]{r.LowWatermark, a.cfg.answerError(r.Err, nil, OpDeleteRecords, topic)}
			}
		}
		return got, nil
	})
}
