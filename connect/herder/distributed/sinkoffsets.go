package distributed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/provider"
	"tributary/storage"
)

// Offsets of sink connectors are those that their consumer group committed (KIP-875).

// SinkGroup is the consumer group of one sink connector, seen from outside.
type SinkGroup interface {
	// Offsets are those that the group committed; none for a group that does not exist.
	Offsets(ctx context.Context) (map[connect.TopicPartition]int64, error)
	// Alter commits offsets, Remove forgets those of some partitions, Delete forgets the
	// group. Each fails with ErrGroupHasMembers while it has members.
	Alter(ctx context.Context, offsets map[connect.TopicPartition]int64) error
	Remove(ctx context.Context, partitions []connect.TopicPartition) error
	Delete(ctx context.Context) error
	Close() error
}

// SinkGroups opens the consumer group of a sink connector, without waiting for the
// cluster. config is the connector's, references resolved; concealment is for what the
// group's clients log.
type SinkGroups func(connector string, config map[string]string, concealment *provider.Concealment) (SinkGroup, error)

// ErrGroupHasMembers says that tasks of a connector still run somewhere.
var ErrGroupHasMembers = errors.New("the consumer group still has members")

// The fields of partitions and offsets of sink connectors.
const (
	topicField     = "kafka_topic"
	partitionField = "kafka_partition"
	offsetField    = "kafka_offset"
)

func (h *Herder) sinkOffsets(ctx context.Context, state *storage.ClusterState, connector string) (out []api.ConnectorOffset, err error) {
	config, concealment, err := h.resolved(ctx, state, connector)
	if err != nil {
		return nil, err
	}
	defer func() { err = concealment.Error(err) }()
	group, err := h.opts.SinkGroups(connector, config, concealment)
	if err != nil {
		return nil, err
	}
	defer func() { _ = group.Close() }()
	ctx, cancel := context.WithTimeout(ctx, offsetsTimeout)
	defer cancel()
	offsets, err := group.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	out = make([]api.ConnectorOffset, 0, len(offsets))
	for _, tp := range slices.SortedFunc(maps.Keys(offsets), comparePartitions) {
		topic, err := json.Marshal(tp.Topic)
		if err != nil {
			return nil, err
		}
		out = append(out, api.ConnectorOffset{
			Partition: fmt.Appendf(nil, `{"%s":%d,"%s":%s}`, partitionField, tp.Partition, topicField, topic),
			Offset:    fmt.Appendf(nil, `{"%s":%d}`, offsetField, offsets[tp]),
		})
	}
	return out, nil
}

func comparePartitions(a, b connect.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// modifySinkOffsets changes the offsets of a stopped sink connector; nil changes remove
// all.
func (h *Herder) modifySinkOffsets(ctx context.Context, connector, done string, changes []connect.OffsetChange) (message api.Message, err error) {
	leave := h.stages.Enter("modifying offsets for connector " + connector)
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, offsetsTimeout)
	defer cancel()
	config, concealment, err := h.resolved(ctx, h.snapshot(), connector)
	if err != nil {
		return api.Message{}, fmt.Errorf("Failed to modify offsets for sink connector %s: %w", connector, err)
	}
	defer func() { err = concealment.Error(err) }()
	group, err := h.opts.SinkGroups(connector, config, concealment)
	if err != nil {
		return api.Message{}, fmt.Errorf("Failed to modify offsets for sink connector %s: %w", connector, err)
	}
	defer func() { _ = group.Close() }()
	wanted := map[connect.TopicPartition]*int64{}
	if changes == nil {
		committed, err := group.Offsets(ctx)
		if err != nil {
			return api.Message{}, fmt.Errorf("Failed to list offsets prior to resetting offsets for sink connector %s: %w", connector, err)
		}
		for tp := range committed {
			wanted[tp] = nil
		}
	} else if wanted, err = parseSinkOffsets(changes); err != nil {
		return api.Message{}, err
	}
	complete, err := h.tellSinkConnector(ctx, connector, config, wanted)
	if err != nil {
		return api.Message{}, err
	}
	if changes == nil {
		err = group.Delete(ctx)
	} else {
		err = alterGroup(ctx, group, wanted)
	}
	if err != nil {
		return api.Message{}, sinkOffsetsFailure(connector, done, err)
	}
	h.log.Info("Offsets were "+done, "connector", connector, "partitions", len(wanted))
	return offsetsMessage(done, complete), nil
}

func alterGroup(ctx context.Context, group SinkGroup, wanted map[connect.TopicPartition]*int64) error {
	alter := map[connect.TopicPartition]int64{}
	var remove []connect.TopicPartition
	for tp, offset := range wanted {
		if offset == nil {
			remove = append(remove, tp)
		} else {
			alter[tp] = *offset
		}
	}
	if len(alter) > 0 {
		if err := group.Alter(ctx, alter); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		return group.Remove(ctx, remove)
	}
	return nil
}

func sinkOffsetsFailure(connector, done string, err error) error {
	verb := map[string]string{"altered": "alter", "reset": "reset"}[done]
	if errors.Is(err, ErrGroupHasMembers) {
		return fmt.Errorf("Failed to %s consumer group offsets for connector %s either because its tasks haven't stopped completely yet or the connector was "+
			"resumed before the request to %s its offsets could be successfully completed. If the connector is in a stopped state, this operation can be safely "+
			"retried. If it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink tasks.", verb, connector, verb)
	}
	if verb == "reset" {
		return fmt.Errorf("Failed to reset consumer group offsets for sink connector %s: %w", connector, err)
	}
	return fmt.Errorf("Failed to alter consumer group offsets for connector %s: %w", connector, err)
}

// tellSinkConnector lets the connector check the changes, or make them its own. The result
// is whether it knows that they are complete.
func (h *Herder) tellSinkConnector(ctx context.Context, connector string, config map[string]string, wanted map[connect.TopicPartition]*int64) (complete bool, err error) {
	instance, _, err := h.opts.Plugins.NewConnector(config["connector.class"])
	if err != nil {
		return false, err
	}
	alterer, ok := instance.(connect.SinkOffsetAlterer)
	if !ok {
		return false, nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("Failed to modify offsets for sink connector %s: it panicked: %v", connector, cause)
		}
	}()
	return alterer.AlterSinkOffsets(ctx, config, wanted)
}

// parseSinkOffsets reads requested changes, in which numbers may be texts. Of several for
// one partition the last one counts. The error is a *herder.BadRequestError.
func parseSinkOffsets(changes []connect.OffsetChange) (map[connect.TopicPartition]*int64, error) {
	wanted := map[connect.TopicPartition]*int64{}
	for _, change := range changes {
		tp, reason := parseSinkPartition(change.Partition)
		if reason == "" && change.Offset != nil {
			var offset int64
			offset, reason = parseSinkOffset(change.Offset)
			wanted[tp] = &offset
		} else {
			wanted[tp] = nil
		}
		if reason != "" {
			return nil, &herder.BadRequestError{Message: reason}
		}
	}
	return wanted, nil
}

func parseSinkPartition(fields map[string]any) (tp connect.TopicPartition, reason string) {
	if fields == nil {
		return tp, "The partition for a sink connector offset cannot be null or missing"
	}
	topic, hasTopic := fields[topicField]
	partition, hasPartition := fields[partitionField]
	switch {
	case !hasTopic || !hasPartition:
		return tp, "The partition for a sink connector offset must contain the keys '" + topicField + "' and '" + partitionField + "'"
	case topic == nil:
		return tp, "Kafka topic names must be valid strings and may not be null"
	case partition == nil:
		return tp, "Kafka partitions must be valid numbers and may not be null"
	}
	n, err := strconv.ParseInt(fmt.Sprint(partition), 10, 32)
	if err != nil {
		return tp, fmt.Sprintf("Failed to parse the following Kafka partition value in the provided offsets: '%v'. Partition values for sink connectors need to be integers.", partition)
	}
	return connect.TopicPartition{Topic: fmt.Sprint(topic), Partition: int32(n)}, ""
}

func parseSinkOffset(fields map[string]any) (offset int64, reason string) {
	value, has := fields[offsetField]
	if !has {
		return 0, "The offset for a sink connector should either be null or contain the key '" + offsetField + "'"
	}
	if value == nil {
		value = "null" // as Java prints it
	}
	offset, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if err != nil {
		return 0, fmt.Sprintf("Failed to parse the following Kafka offset value in the provided offsets: '%v'. Offset values for sink connectors need to be integers.", value)
	}
	return offset, ""
}
