package mirror

import (
	"tributary/connect"
	"tributary/connectors/mirror/replica"
)

const (
	assignmentKey = "task.assignment"

	assignSorted = "sorted"
	assignSticky = "sticky"
	assignLoad   = "load"
)

var assignmentKeys = []connect.ConfigKey{
	valid(low(assignmentKey, connect.TypeString, assignSorted, "How partitions are dealt out among tasks. sorted: in the order of their names, one after the other, so that the same partitions always give the same tasks. sticky: partitions stay with their task as long as the connector runs, and new ones go to the task with the fewest, so that a new topic restarts few tasks. load: the same, but by how many records a second are written to the partitions, which is looked at every 30 seconds: new ones go to the task with the least, and when a task has more than one and a half times its share some of its partitions move."),
		connect.OneOf(assignSorted, assignSticky, assignLoad)),
}

// dealSorted deals partitions, which are sorted, out among tasks one after the other.
func dealSorted(partitions []replica.TopicPartition, tasks int) [][]replica.TopicPartition {
	shares := make([][]replica.TopicPartition, tasks)
	for i, tp := range partitions {
		shares[i%tasks] = append(shares[i%tasks], tp)
	}
	return shares
}

// dealSticky leaves partitions where they were before, as far as there are as many tasks
// and no task has more than a quarter over its share, and gives the rest to the tasks
// with the fewest, the lowest number first. Each share is in the order of partitions.
func dealSticky(partitions []replica.TopicPartition, tasks int, before [][]replica.TopicPartition) [][]replica.TopicPartition {
	if len(before) != tasks {
		return dealSorted(partitions, tasks)
	}
	fair := (len(partitions) + tasks - 1) / tasks
	most := fair + fair/4
	owner := map[replica.TopicPartition]int{}
	for task, share := range before {
		for _, tp := range share {
			owner[tp] = task
		}
	}
	counts := make([]int, tasks)
	placed := make(map[replica.TopicPartition]int, len(partitions))
	for _, tp := range partitions {
		if task, had := owner[tp]; had && counts[task] < most {
			placed[tp] = task
			counts[task]++
		}
	}
	shares := make([][]replica.TopicPartition, tasks)
	for _, tp := range partitions {
		task, stays := placed[tp]
		if !stays {
			for i := range counts {
				if counts[i] < counts[task] {
					task = i
				}
			}
			counts[task]++
		}
		shares[task] = append(shares[task], tp)
	}
	return shares
}
