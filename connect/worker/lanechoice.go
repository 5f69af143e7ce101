package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
)

// lane is the path of records through a source task.
type lane string

const (
	// recordLane takes records one by one through transformations and converters.
	recordLane lane = "record"
	// rawLane passes whole batches on as they are.
	rawLane lane = "raw"
)

// laneFacts are what the choice of a lane depends on.
type laneFacts struct {
	// offered says that the task can return batches; refusal is why not.
	offered bool
	refusal string
	// converters are those that look into records, by configuration key.
	converters map[string]string
	transforms []string
	predicates []string
	// tolerateAll is errors.tolerance=all: single records are to be skipped.
	tolerateAll bool
	// producer are the settings of the task's producer that the user made, whether for the
	// worker or for the connector.
	producer map[string]string
}

// chooseLane is the raw lane unless something has to look inside the batches, or asks for
// what only a producer of records does. reason says why, for people.
func chooseLane(f laneFacts) (choice lane, reason string) {
	switch {
	case !f.offered:
		return recordLane, f.refusal
	case len(f.transforms) > 0:
		return recordLane, "transforms=" + strings.Join(f.transforms, ",") + " works on single records"
	case len(f.predicates) > 0:
		return recordLane, "predicates=" + strings.Join(f.predicates, ",") + " look at single records"
	case f.tolerateAll:
		return recordLane, "errors.tolerance=all skips single records"
	}
	for _, key := range slices.Sorted(maps.Keys(f.converters)) {
		return recordLane, key + "=" + f.converters[key] + " works on single records"
	}
	if reason := producerNeedsRecords(f.producer); reason != "" {
		return recordLane, reason
	}
	return rawLane, "nothing has to look inside the batches"
}

// producerNeedsRecords says which setting of a producer whole batches cannot follow, ""
// if there is none.
func producerNeedsRecords(props map[string]string) string {
	set := func(key string) string { return fmt.Sprintf("the producer's %s=%s", key, props[key]) }
	if _, ok := props["compression.type"]; ok {
		return set("compression.type") + " asks for batches to be compressed anew"
	}
	if acks, ok := props["acks"]; ok && acks != "all" && acks != "-1" {
		return set("acks") + " asks for fewer acknowledgements than whole batches are written with"
	}
	if strings.EqualFold(strings.TrimSpace(props["enable.idempotence"]), "false") {
		return set("enable.idempotence") + " forbids the sequences that keep whole batches in order"
	}
	return ""
}

// chooseLane chooses the task's lane and tells the task.
func (t *taskRun) chooseLane(values connect.Values) {
	f := laneFacts{
		refusal:    "the connector hands out single records",
		converters: t.pipeline.converting(),
		transforms: values.List("transforms"), predicates: values.List("predicates"),
		tolerateAll: t.tolerance.skip,
		producer:    withPrefix(t.worker.options.Config.Properties, "producer."),
	}
	maps.Copy(f.producer, withPrefix(t.connectorConfig, "producer.override."))
	task, able := t.task.(connect.BatchTask)
	if able {
		f.offered, f.refusal = task.OffersBatches(t.config)
	}
	var reason string
	t.lane, reason = chooseLane(f)
	reason = t.concealment.Text(reason)
	if !able {
		return // there was never a choice
	}
	task.TakeLane(t.lane == rawLane, string(t.lane), reason)
	t.logger.Info("The lane of the task is chosen", "lane", string(t.lane), "reason", reason)
	t.scope.Gauge("tributary_source_task_lane", "Always 1: lane says which path the records of the task take, reason why.",
		map[string]string{"lane": string(t.lane), "reason": reason}).Set(1)
}

// converting returns the converters that look into records, by configuration key.
func (p *pipeline) converting() map[string]string {
	all := map[string]string{}
	if !p.key.raw {
		all["key.converter"] = p.key.class
	}
	if !p.value.raw {
		all["value.converter"] = p.value.class
	}
	if !p.header.raw {
		all["header.converter"] = p.header.class
	}
	return all
}
