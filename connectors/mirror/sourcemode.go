package mirror

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
)

// Keys of the three ways to replicate.
const (
	modeKey          = "replication.mode"
	batchUntilKey    = "batch.until"
	batchIntervalKey = "batch.interval.seconds"
	delayKey         = "replication.delay.ms"

	modeSimple  = "simple"
	modeBatch   = "batch"
	modeDelayed = "delayed"

	// batchEndsKey gives a task the ends of its partitions in this batch, in the order of
	// task.assigned.partitions.
	batchEndsKey = "task.batch.ends"
)

var modeKeys = []connect.ConfigKey{
	valid(low(modeKey, connect.TypeString, modeSimple, "How to replicate. simple: without end. batch: up to the end that each partition has at the start, then the connector stops itself. delayed: each record replication.delay.ms after its timestamp."),
		connect.OneOf(modeSimple, modeBatch, modeDelayed)),
	valid(low(batchUntilKey, connect.TypeString, nil, "In the batch mode: an ISO 8601 time; records with this timestamp or a later one are left to the next batch. A time still to come is waited for."), isoTime),
	valid(low(batchIntervalKey, connect.TypeLong, int64(0), "In the batch mode: begin the next batch so many seconds after the last one began, instead of stopping. 0 is one batch only."), connect.AtLeast(0)),
	valid(low(batchStallKey, connect.TypeLong, int64(300), "In the batch mode: give a partition up that has not moved for so many seconds, and let the batch end without it. 0 waits for ever."), connect.AtLeast(0)),
	valid(low(delayKey, connect.TypeLong, int64(0), "In the delayed mode: how far the target stays behind the source, in milliseconds."), connect.AtLeast(0)),
	valid(low(onDataLossKey, connect.TypeString, lossContinue, "What to do when the source has lost records before they were mirrored (deleted, rolled back, topic created anew). continue: go on as auto.offset.reset says. stop.partition: stop mirroring the partition. restart.from.earliest: mirror what the source has from its beginning. Each loss is logged and counted whatever is set."),
		connect.OneOf(lossContinue, lossStop, lossRestart)),
}

// modeErrors adds what is wrong between the keys of the modes.
func modeErrors(errs map[string][]string, props map[string]string) {
	mode := props[modeKey]
	misplaced := func(key, wanted string) {
		if props[key] != "" && mode != wanted {
			errs[key] = append(errs[key], fmt.Sprintf("%s is set, but %s is not %s: set both or neither", key, modeKey, wanted))
		}
	}
	misplaced(batchUntilKey, modeBatch)
	misplaced(batchIntervalKey, modeBatch)
	misplaced(batchStallKey, modeBatch)
	misplaced(delayKey, modeDelayed)
	if mode == modeDelayed && props[delayKey] == "" {
		errs[delayKey] = append(errs[delayKey], fmt.Sprintf("%s=%s needs %s, in milliseconds", modeKey, modeDelayed, delayKey))
	}
	if props[batchUntilKey] != "" && props[batchIntervalKey] != "" && props[batchIntervalKey] != "0" {
		errs[batchIntervalKey] = append(errs[batchIntervalKey], fmt.Sprintf("%s ends at a fixed time, so %s has nothing to repeat: set one of the two", batchUntilKey, batchIntervalKey))
	}
}

// batchUntil is the time that the batch ends at, zero for none.
func (s *settings) batchUntil() (time.Time, error) {
	text := s.String(batchUntilKey)
	if text == "" {
		return time.Time{}, nil
	}
	return parseISOTime(text)
}

// noEnd is the end of a partition that is mirrored without end.
const noEnd int64 = -1

// batchEnds reads where the batch ends for each partition of a task.
func (s *settings) batchEnds(config map[string]string, assigned []replica.TopicPartition) (map[replica.TopicPartition]int64, error) {
	ends := make(map[replica.TopicPartition]int64, len(assigned))
	if s.String(modeKey) != modeBatch {
		for _, tp := range assigned {
			ends[tp] = noEnd
		}
		return ends, nil
	}
	fields := strings.Split(config[batchEndsKey], ",")
	if len(fields) != len(assigned) {
		return nil, fmt.Errorf("%s has %d ends for %d partitions", batchEndsKey, len(fields), len(assigned))
	}
	for i, tp := range assigned {
		end, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: end of %s: %w", batchEndsKey, tp, err)
		}
		ends[tp] = end
	}
	return ends, nil
}

// delay is how far behind the delayed mode stays, 0 in the other modes.
func (s *settings) delay() time.Duration {
	if s.String(modeKey) != modeDelayed {
		return 0
	}
	return s.millis(delayKey)
}
