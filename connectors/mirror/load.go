package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

const (
	// loadLook is how often the source is asked how much was written, with task.assignment=load.
	loadLook = 30 * time.Second
	// leaning is by how much the busiest task may exceed an even share before partitions move.
	leaning = 1.25
	// toppling is by how much it must before tasks are restarted for it alone.
	toppling = 1.5
)

// loads is how much is written to each partition of the source.
type loads struct {
	last map[replica.TopicPartition]logEnd
	// perSecond are records, or offsets, to be exact: what transactions and compaction
	// take of them counts as well.
	perSecond map[replica.TopicPartition]float64
}

// logEnd is where a log ended when that was last looked up.
type logEnd struct {
	end int64
	at  time.Time
}

// seen takes a look at the ends of logs into account. Half of each rate is the last one's,
// so that a burst does not move partitions at once. A partition seen for the first time
// has no rate yet; one whose end is not told this time keeps the one it had.
func (l *loads) seen(ends map[replica.TopicPartition]int64, failed map[kafka.TopicPartition]error, now time.Time) {
	rates, last := make(map[replica.TopicPartition]float64, len(ends)), make(map[replica.TopicPartition]logEnd, len(ends))
	for tp := range failed {
		tp := replica.TopicPartition(tp)
		if before, known := l.last[tp]; known {
			last[tp] = before
		}
		if rate, measured := l.perSecond[tp]; measured {
			rates[tp] = rate
		}
	}
	for tp, end := range ends {
		last[tp] = logEnd{end, now}
		before, known := l.last[tp]
		if !known {
			continue
		}
		rate := float64(max(end-before.end, 0)) / max(now.Sub(before.at).Seconds(), 0.001)
		if last, measured := l.perSecond[tp]; measured {
			rate = (rate + last) / 2
		}
		rates[tp] = rate
	}
	l.last, l.perSecond = last, rates
}

// weights are what partitions cost a task: their rates and a share for being there, so
// that those without traffic are spread, too. A partition without a rate counts as an
// average one.
func weights(partitions []replica.TopicPartition, perSecond map[replica.TopicPartition]float64) map[replica.TopicPartition]float64 {
	sum, measured := 0.0, 0
	for _, tp := range partitions {
		if rate, ok := perSecond[tp]; ok {
			sum, measured = sum+rate, measured+1
		}
	}
	mean := 0.0
	if measured > 0 {
		mean = sum / float64(measured)
	}
	const presence = 0.1 // of an average partition
	out := make(map[replica.TopicPartition]float64, len(partitions))
	for _, tp := range partitions {
		rate, ok := perSecond[tp]
		if !ok {
			rate = mean
		}
		out[tp] = rate + max(presence*mean, 1e-9)
	}
	return out
}

// dealLoad gives each task about the same weight. Partitions stay where they were before,
// as far as there are as many tasks and the busiest has no more than leaning allows; new
// ones go, the heaviest first, to the task with the least. Each share is in the order of
// partitions.
func dealLoad(partitions []replica.TopicPartition, tasks int, weight map[replica.TopicPartition]float64, before [][]replica.TopicPartition) [][]replica.TopicPartition {
	owner := map[replica.TopicPartition]int{}
	if len(before) == tasks {
		for task, share := range before {
			for _, tp := range share {
				owner[tp] = task
			}
		}
	}
	byWeight := slices.SortedStableFunc(slices.Values(partitions), func(a, b replica.TopicPartition) int { return cmp.Compare(weight[b], weight[a]) })
	carried := make([]float64, tasks)
	placed := make(map[replica.TopicPartition]int, len(partitions))
	total := 0.0
	for _, tp := range partitions {
		total += weight[tp]
		if task, had := owner[tp]; had {
			placed[tp] = task
			carried[task] += weight[tp]
		}
	}
	for _, tp := range byWeight {
		if _, stays := placed[tp]; !stays {
			least := lightest(carried)
			placed[tp] = least
			carried[least] += weight[tp]
		}
	}
	for range partitions {
		from, to := heaviest(carried), lightest(carried)
		if carried[from] <= leaning*total/float64(tasks) {
			break
		}
		// The heaviest that leaves both below what from has now.
		i := slices.IndexFunc(byWeight, func(tp replica.TopicPartition) bool {
			return placed[tp] == from && carried[to]+weight[tp] < carried[from]
		})
		if i < 0 {
			break
		}
		tp := byWeight[i]
		placed[tp] = to
		carried[from] -= weight[tp]
		carried[to] += weight[tp]
	}
	shares := make([][]replica.TopicPartition, tasks)
	for _, tp := range partitions {
		shares[placed[tp]] = append(shares[placed[tp]], tp)
	}
	return shares
}

func lightest(carried []float64) int {
	least := 0
	for i := range carried {
		if carried[i] < carried[least] {
			least = i
		}
	}
	return least
}

func heaviest(carried []float64) int {
	most := 0
	for i := range carried {
		if carried[i] > carried[most] {
			most = i
		}
	}
	return most
}

// topples says whether the busiest task has so much more than its share that it is worth
// restarting tasks.
func topples(shares [][]replica.TopicPartition, weight map[replica.TopicPartition]float64) bool {
	total, most := 0.0, 0.0
	for _, share := range shares {
		sum := 0.0
		for _, tp := range share {
			sum += weight[tp]
		}
		total, most = total+sum, max(most, sum)
	}
	return most > toppling*total/float64(max(len(shares), 1))
}

// lookAtLoad measures how much is written to the partitions, and asks for tasks anew when
// they have become too uneven and dealing them out again would help.
func (c *SourceConnector) lookAtLoad(ctx context.Context) error {
	c.mu.Lock()
	partitions := slices.Clone(c.partitions)
	c.mu.Unlock()
	tps := make([]kafka.TopicPartition, len(partitions))
	for i, tp := range partitions {
		tps[i] = kafka.TopicPartition(tp)
	}
	found, failed, err := c.source.admin.CurrentOffsets(ctx, tps, kafka.Latest, kafka.ReadUncommitted)
	if err != nil {
		return fmt.Errorf("look up the ends of partitions of cluster %s: %w", c.settings.source, err)
	}
	ends := make(map[replica.TopicPartition]int64, len(found))
	for tp, end := range found {
		ends[replica.TopicPartition(tp)] = end
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.load.seen(ends, failed, time.Now())
	if len(c.dealt) < 2 {
		return nil
	}
	weight := weights(partitions, c.load.perSecond)
	if topples(c.dealt, weight) && !slices.EqualFunc(c.dealt, dealLoad(partitions, len(c.dealt), weight, c.dealt), slices.Equal) {
		c.logger.Info("The tasks have become uneven: partitions are dealt out anew", "tasks", len(c.dealt))
		c.context.RequestTaskReconfiguration()
	}
	return nil
}

// deal gives each task its partitions as task.assignment says.
func (c *SourceConnector) deal(partitions []replica.TopicPartition, tasks int) [][]replica.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.settings.String(assignmentKey) {
	case assignSticky:
		c.dealt = dealSticky(partitions, tasks, c.dealt)
	case assignLoad:
		c.dealt = dealLoad(partitions, tasks, weights(partitions, c.load.perSecond), c.dealt)
	default:
		c.dealt = dealSorted(partitions, tasks)
	}
	return c.dealt
}
