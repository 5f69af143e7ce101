package maker

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/connect/herder"
	"tributary/storage"
)

// compareInterval is the time between two looks at what the group runs. What differs at
// two of them in a row is worth a line: the first may meet a leader that is about to
// write its file's configuration.
const compareInterval = 3 * time.Second

// compareFiles tells when the group runs a flow's connectors with another configuration
// than this node's file gives them: another node with another file leads the group, or
// they were changed over REST. The file of a node counts from the moment that it leads.
func (m *mirrorMaker) compareFiles(ctx context.Context, run *flowRun) {
	ticker := time.NewTicker(compareInterval)
	defer ticker.Stop()
	before, said := "", ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		h := run.herder.Load()
		if h == nil {
			continue
		}
		differing, ok := m.differing(ctx, *h, run.Flow)
		if !ok {
			continue
		}
		now := strings.Join(differing, ", ")
		switch {
		case now == "" && said != "":
			said = ""
			run.log.Info("The group runs the connectors as this node's file says")
		case now != "" && now == before && now != said:
			said = now
			run.log.Warn("This node's file differs from what the group runs: the node that leads has another file, or the connectors were changed over REST. "+
				"The file counts once a node that has it leads", "differing", now)
		}
		before = now
	}
}

// differing lists what differs, as connector:key. ok says that it could be found out.
func (m *mirrorMaker) differing(ctx context.Context, h herder.Herder, f Flow) (out []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, compareInterval)
	defer cancel()
	for _, want := range m.connectors(f) {
		current, err := h.ConnectorConfig(ctx, want["name"])
		if err != nil {
			return nil, false // not ready, or not written yet
		}
		for _, key := range differingKeys(current, want) {
			out = append(out, want["name"]+":"+key)
		}
	}
	return out, true
}

// differingKeys are the keys whose values are not the same, sorted.
func differingKeys(current storage.ConnectorConfig, want map[string]string) []string {
	differing := map[string]bool{}
	for key, value := range want {
		if c := current[key]; c == nil || *c != value {
			differing[key] = true
		}
	}
	for key := range current {
		if _, ok := want[key]; !ok {
			differing[key] = true
		}
	}
	return slices.Sorted(maps.Keys(differing))
}
