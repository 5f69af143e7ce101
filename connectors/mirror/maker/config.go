package maker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// The clusters and the flow of a file that names none.
const (
	defaultSource = "source"
	defaultTarget = "target"
)

// Flow is one direction between two clusters, written source->target in the file.
type Flow struct{ Source, Target string }

// String is the flow's name in the file.
func (f Flow) String() string { return f.Source + "->" + f.Target }

// Config is a parsed MirrorMaker file. It is immutable.
type Config struct {
	// Clusters are the aliases in the order of the file.
	Clusters []string
	// Implied says that the file has no clusters line.
	Implied  bool
	raw      map[string]string
	resolved map[string]string
}

// Resolver replaces the ${provider:…} references in configuration values.
type Resolver func(map[string]string) (map[string]string, error)

// Parse checks the grammar of a MirrorMaker file. resolve is used for what the
// process itself reads; connector configurations keep their references. All errors
// are reported at once.
func Parse(props map[string]string, resolve Resolver) (*Config, error) {
	resolved, err := resolve(props)
	if err != nil {
		return nil, err
	}
	c := &Config{raw: maps.Clone(props), resolved: maps.Clone(resolved)}
	list, given := resolved["clusters"]
	if !given {
		c.implyClusters()
		list = resolvedOr(c.resolved, "clusters", "")
	}
	var errs *multierror.Error
	seen := map[string]bool{}
	for alias := range strings.SplitSeq(list, ",") {
		alias = strings.TrimSpace(alias)
		switch {
		case alias == "":
			errs = multierror.Append(errs, fmt.Errorf("clusters is %q: it must be a comma-separated list of cluster names without empty ones", list))
		case seen[alias]:
			errs = multierror.Append(errs, fmt.Errorf("clusters is %q: it names %s twice, and the flows of both would have one name", list, alias))
		case strings.Contains(alias, "->"):
			errs = multierror.Append(errs, fmt.Errorf("clusters names %q: a cluster's name must not contain \"->\", which separates the two clusters of a flow", alias))
		default:
			seen[alias] = true
			c.Clusters = append(c.Clusters, alias)
		}
	}
	errs = multierror.Append(errs, c.checkFlowSwitches()...)
	if errs.ErrorOrNil() == nil && len(c.flows(nil)) == 0 {
		errs = multierror.Append(errs, fmt.Errorf("no flow is enabled: set %s", enableHint(c.Clusters)))
	}
	for _, alias := range c.Clusters {
		if strings.TrimSpace(c.resolved[alias+".bootstrap.servers"]) == "" && strings.TrimSpace(c.resolved["bootstrap.servers"]) == "" {
			errs = multierror.Append(errs, fmt.Errorf("%s.bootstrap.servers is missing: it must list brokers of the cluster as host:port", alias))
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		return nil, err
	}
	return c, nil
}

func enableHint(clusters []string) string {
	if len(clusters) < 2 {
		return "clusters to at least two names and A->B.enabled=true for a pair of them"
	}
	return fmt.Sprintf("%s->%s.enabled=true, for example", clusters[0], clusters[1])
}

// implyClusters makes a file without a clusters line mean what its two lines say.
func (c *Config) implyClusters() {
	c.Implied = true
	for _, props := range []map[string]string{c.raw, c.resolved} {
		props["clusters"] = defaultSource + "," + defaultTarget
		key := defaultSource + "->" + defaultTarget + ".enabled"
		if _, set := props[key]; !set {
			props[key] = "true"
		}
	}
}

// checkFlowSwitches refuses switches that are neither true nor false: Java takes any
// other text for false, and the flow stays silent for ever.
func (c *Config) checkFlowSwitches() []error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(c.resolved)) {
		isSwitch := key == "emit.heartbeats.enabled" || isFlowSwitch(afterFlow(key))
		value := strings.TrimSpace(c.resolved[key])
		if isSwitch && !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			errs = append(errs, fmt.Errorf("%s is %q: it must be true or false", key, c.resolved[key]))
		}
	}
	return errs
}

func isFlowSwitch(key string) bool { return key == "enabled" || key == "emit.heartbeats.enabled" }

// afterFlow is the part of an A->B.key after the target's alias, taking the alias to
// have no dot; "" when there is none.
func afterFlow(key string) string {
	_, rest, ok := strings.Cut(key, "->")
	if !ok {
		return ""
	}
	_, rest, _ = strings.Cut(rest, ".")
	return rest
}

func resolvedOr(props map[string]string, key, otherwise string) string {
	if v, ok := props[key]; ok {
		return v
	}
	return otherwise
}

func isTrue(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "true") }

// Enabled reports whether records are mirrored along the flow.
func (c *Config) Enabled(f Flow) bool { return isTrue(c.resolved[f.String()+".enabled"]) }

// heartbeats reports whether the flow's herder runs for its heartbeats' sake.
func (c *Config) heartbeats(f Flow) bool {
	return isTrue(resolvedOr(c.resolved, f.String()+".emit.heartbeats.enabled",
		resolvedOr(c.resolved, "emit.heartbeats.enabled", "true")))
}

// Flows returns the flows that need a herder, the enabled ones first: those that
// mirror, and those that only write heartbeats. With targets given, only flows into
// one of them; a name that is no cluster is an error.
func (c *Config) Flows(targets []string) ([]Flow, error) {
	for _, t := range targets {
		if !slices.Contains(c.Clusters, t) {
			return nil, fmt.Errorf("--clusters names %q, which is not one of clusters=%s", t, strings.Join(c.Clusters, ","))
		}
	}
	return c.flows(targets), nil
}

func (c *Config) flows(targets []string) []Flow {
	var enabled, others []Flow
	for _, s := range c.Clusters {
		for _, t := range c.Clusters {
			f := Flow{s, t}
			switch {
			case s == t || (len(targets) > 0 && !slices.Contains(targets, t)):
			case c.Enabled(f):
				enabled = append(enabled, f)
			case c.heartbeats(f):
				others = append(others, f)
			}
		}
	}
	return append(enabled, others...)
}

// stripped returns the properties under a prefix, without it.
func stripped(props map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for k, v := range props {
		if rest, ok := strings.CutPrefix(k, prefix); ok && rest != "" {
			out[rest] = v
		}
	}
	return out
}

func setDefault(props map[string]string, key, value string) {
	if _, ok := props[key]; !ok {
		props[key] = value
	}
}

// clusterProps are the properties of one cluster: its own, with the security keys
// copied to each kind of client, and security keys at the top of the file where it has
// none.
func clusterProps(props map[string]string, alias string) map[string]string {
	out := stripped(props, alias+".")
	for _, key := range clientKeys {
		if v, ok := out[key]; ok {
			for _, client := range []string{"producer.", "consumer.", "admin."} {
				setDefault(out, client+key, v)
			}
		}
	}
	for _, key := range clientKeys {
		if v, ok := props[key]; ok {
			for _, client := range []string{"producer.", "consumer.", "admin.", ""} {
				setDefault(out, client+key, v)
			}
		}
	}
	return out
}

// workerPrefixes select the top-level keys that go to every worker.
var workerPrefixes = []string{"offset.storage", "config.storage", "status.storage", "key.converter", "value.converter", "header.converter", "task", "worker", "replication.policy"}

const byteArrayConverter = "org.apache.kafka.connect.converters.ByteArrayConverter"

// WorkerProps is the configuration of the Connect worker of a flow, references
// resolved. The worker lives on the target: its group and topics are there.
func (c *Config) WorkerProps(f Flow) map[string]string { return c.workerProps(c.resolved, f) }

// workerProps are WorkerProps with the values of props: the file's, with or without
// references.
func (c *Config) workerProps(props map[string]string, f Flow) map[string]string {
	out := clusterProps(props, f.Target)
	for k, v := range props {
		for _, p := range workerPrefixes {
			if strings.HasPrefix(k, p) {
				out[k] = v
			}
		}
	}
	for k, v := range c.raw {
		if strings.HasPrefix(k, "config.providers") {
			out[k] = v
		}
	}
	setDefault(out, "task.auto.restart", "true") // nobody watches a dedicated process over REST
	setDefault(out, "client.id", f.String())
	setDefault(out, "group.id", f.Source+"-mm2")
	setDefault(out, "offset.storage.topic", "mm2-offsets."+f.Source+".internal")
	setDefault(out, "status.storage.topic", "mm2-status."+f.Source+".internal")
	setDefault(out, "config.storage.topic", "mm2-configs."+f.Source+".internal")
	for _, k := range []string{"key.converter", "value.converter", "header.converter"} {
		setDefault(out, k, byteArrayConverter)
	}
	return out
}

// isClientOverride reports whether a cluster's key is meant for one kind of client.
func isClientOverride(key string) bool {
	return strings.HasPrefix(key, "consumer") || strings.HasPrefix(key, "producer") || strings.HasPrefix(key, "admin")
}

// ConnectorProps is the configuration of one mirror connector of a flow, as it is
// posted: references unresolved. known says whether a key at the top of the file
// belongs to one of the connectors.
func (c *Config) ConnectorProps(f Flow, class string, known func(key string) bool) map[string]string {
	out := map[string]string{}
	for k, v := range c.raw {
		if known(k) || strings.HasPrefix(k, "config.providers") || strings.HasPrefix(k, "replication.policy") {
			out[k] = v
		}
	}
	for side, alias := range map[string]string{"source": f.Source, "target": f.Target} {
		for k, v := range clusterProps(c.raw, alias) {
			if isClientOverride(k) {
				out[side+"."+k] = v
			} else {
				out[side+".cluster."+k] = v
			}
		}
	}
	setDefault(out, "name", class[strings.LastIndexByte(class, '.')+1:])
	setDefault(out, "connector.class", class)
	setDefault(out, "source.cluster.alias", f.Source)
	setDefault(out, "target.cluster.alias", f.Target)
	maps.Copy(out, stripped(c.raw, f.String()+"."))
	setDefault(out, "enabled", "false")
	return out
}

// TopLevel returns a resolved property from the top of the file.
func (c *Config) TopLevel(key string) (string, bool) {
	v, ok := c.resolved[key]
	return v, ok
}
