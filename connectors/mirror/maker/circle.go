package maker

import (
	"fmt"
	"slices"
	"strings"
)

// Circles explains, a sentence each, the circles of flows that keep the names of topics and that mirror the same topics:
// what goes around in one comes back under its own name, and goes around again, for ever. Names that hold the way that a
// topic has come, as the default policy makes them, show a circle; these do not.
//
// Which topics match is not known here. Flows whose topics and topics.exclude read the same count as mirroring the same.
func (c *Config) Circles(known Known) []string {
	next := map[string][]string{}
	selection := map[Flow]string{}
	for _, f := range c.flows(nil) {
		props := c.ConnectorProps(f, sourceConnector, known.Connector)
		if !c.Enabled(f) || !strings.HasSuffix(props["replication.policy.class"], "IdentityReplicationPolicy") {
			continue
		}
		next[f.Source] = append(next[f.Source], f.Target)
		selection[f] = props["topics"] + "\n" + props["topics.exclude"]
	}
	var out []string
	for _, first := range c.Clusters {
		for _, way := range waysHome(next, []string{first}) {
			// Each circle is told once, beginning with the cluster that the file names first.
			if slices.ContainsFunc(way, func(alias string) bool { return slices.Index(c.Clusters, alias) < slices.Index(c.Clusters, first) }) {
				continue
			}
			if c.sameSelection(way, selection) {
				out = append(out, fmt.Sprintf("The flows %s->%s go in a circle, keep the names of topics (IdentityReplicationPolicy) and mirror the same topics: "+
					"their records go around for ever. Give each flow topics of its own, or use the default policy", strings.Join(way, "->"), first))
			}
		}
	}
	return out
}

// waysHome are the ways from the end of way back to its beginning that touch no cluster twice.
func waysHome(next map[string][]string, way []string) [][]string {
	var ways [][]string
	for _, to := range next[way[len(way)-1]] {
		switch {
		case to == way[0]:
			ways = append(ways, slices.Clone(way))
		case !slices.Contains(way, to):
			ways = append(ways, waysHome(next, append(slices.Clone(way), to))...)
		}
	}
	return ways
}

func (c *Config) sameSelection(way []string, selection map[Flow]string) bool {
	first := selection[Flow{way[0], way[1]}]
	for i := range way {
		if selection[Flow{way[i], way[(i+1)%len(way)]}] != first {
			return false
		}
	}
	return true
}
