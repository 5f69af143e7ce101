package maker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"tributary/connect/cli"
	"tributary/connectors/mirror"
)

// checkLimit is how long the clusters of one flow may take to answer.
const checkLimit = 15 * time.Second

// Check prints what the flows of a file would do: the topics and groups that they match,
// the effective value of each key and where it comes from, keys that nothing reads, and
// permissions that are missing. It changes nothing on any cluster. The error says why
// the file could not run; a *cli.ConfigError means that the file itself is wrong.
func Check(ctx context.Context, p *cli.Program, props map[string]string, targets []string, log *slog.Logger) error {
	m, err := newMirrorMaker(p, props, targets, log)
	if err != nil {
		return err
	}
	var errs *multierror.Error
	wrong := false
	for _, f := range m.flows {
		for _, err := range m.checkFlow(f) {
			wrong = true
			errs = multierror.Append(errs, fmt.Errorf("flow %s: %w", f, err))
		}
	}
	r := &checkReport{out: p.Stdout}
	unread := m.config.UnreadKeys(m.known())
	r.section("Keys that nothing reads", unread)
	if circles := m.config.Circles(m.known()); len(circles) > 0 {
		r.section("Circles", circles)
	}
	for _, f := range m.flows {
		if !m.config.Enabled(f) {
			r.line("Flow %s: only heartbeats are written into cluster %s", f, f.Target)
			continue
		}
		r.line("Flow %s: mirrors cluster %s into cluster %s", f, f.Source, f.Target)
		if !wrong {
			errs = multierror.Append(errs, m.look(ctx, f, r)...)
		}
		r.section("  Settings", m.effective(f))
	}
	switch err := errs.ErrorOrNil(); {
	case r.err != nil:
		return r.err
	case err != nil && wrong:
		return &cli.ConfigError{Err: err}
	default:
		return err
	}
}

// checkFlow validates what a flow's worker and connectors would be given.
func (m *mirrorMaker) checkFlow(f Flow) []error {
	w, err := cli.NewWorker(cli.WorkerOptions{Properties: m.config.WorkerProps(f), Plugins: m.plugins, WorkerID: "check/" + f.String(), Concealment: m.program.Concealment(), Logger: m.log})
	if err != nil {
		return cli.Errors(err)
	}
	return m.checkConnectors(f, w)
}

// look asks the clusters of a flow.
func (m *mirrorMaker) look(ctx context.Context, f Flow, r *checkReport) []error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	resolved := map[string]map[string]string{}
	for _, raw := range m.connectors(f) {
		props, err := m.resolve(raw)
		if err != nil {
			return []error{fmt.Errorf("flow %s: %w", f, err)}
		}
		resolved[raw["connector.class"]] = props
	}
	worker := m.config.WorkerProps(f)
	preview, err := mirror.Look(ctx, mirror.Plan{
		Source: resolved[sourceConnector], Checkpoint: resolved[checkpointConnector], Heartbeat: resolved[heartbeatConnector],
		WorkerGroup:  worker["group.id"],
		WorkerTopics: []string{worker["config.storage.topic"], worker["offset.storage.topic"], worker["status.storage.topic"]},
	}, m.log)
	if err != nil {
		var errs []error
		for _, e := range cli.Errors(err) {
			errs = append(errs, fmt.Errorf("flow %s: %w", f, e))
		}
		return errs
	}
	r.section("  Topics to mirror", preview.Topics)
	if preview.Groups != nil {
		r.section("  Consumer groups to translate", preview.Groups)
	}
	r.section("  Missing permissions", preview.Missing)
	if len(preview.Missing) > 0 {
		return []error{fmt.Errorf("flow %s: %d permissions are missing", f, len(preview.Missing))}
	}
	return nil
}

// effective lists the settings of a flow as key = value (origin), sorted: those of its
// source and checkpoint connectors and of its worker. Secrets are not shown, and references
// to configuration providers as they were written.
func (m *mirrorMaker) effective(f Flow) []string {
	lines := map[string]bool{}
	for _, props := range m.connectors(f) {
		def, err := m.plugins.Connector(props["connector.class"])
		if err != nil {
			continue // the validation has said so
		}
		for key, value := range props {
			lines[fmt.Sprintf("%s = %s (%s)", key, shownValue(key, value), m.config.origin(f, key))] = true
		}
		for _, key := range mirror.DefaultsOf(def.Class) {
			if _, set := props[key.Name]; !set {
				lines[fmt.Sprintf("%s = %s (default)", key.Name, key.Text)] = true
			}
		}
	}
	for key, value := range m.config.workerProps(m.config.raw, f) {
		lines[fmt.Sprintf("worker: %s = %s (%s)", key, shownValue(key, value), m.config.workerOrigin(f, key))] = true
	}
	return slices.Sorted(maps.Keys(lines))
}

// shownValue hides what may be a secret: references to configuration providers are none.
func shownValue(key, value string) string {
	lower := strings.ToLower(key)
	for _, part := range []string{"password", "jaas.config", "secret", "passphrase", "ssl.keystore.key", "truststore.certificates", "credential", "token"} {
		if strings.Contains(lower, part) && !strings.HasPrefix(value, "${") {
			return "[hidden]"
		}
	}
	return value
}

// origin says which key of the file gives a flow's connectors the value of a key.
func (c *Config) origin(f Flow, key string) string {
	if _, ok := c.raw[f.String()+"."+key]; ok {
		return f.String() + "." + key
	}
	for side, alias := range map[string]string{"source": f.Source, "target": f.Target} {
		if rest, ok := strings.CutPrefix(key, side+".cluster."); ok && rest != "alias" {
			return c.clusterOrigin(alias, rest)
		}
		if rest, ok := strings.CutPrefix(key, side+"."); ok && isClientOverride(rest) {
			return c.clusterOrigin(alias, rest)
		}
	}
	if _, ok := c.raw[key]; ok && !(c.Implied && key == "clusters") {
		return key
	}
	return "the flow"
}

// clusterOrigin says which key gives a cluster's client a value.
func (c *Config) clusterOrigin(alias, key string) string {
	candidates := []string{alias + "." + key}
	if kind, bare, ok := strings.Cut(key, "."); ok && isClientOverride(kind) {
		candidates = append(candidates, alias+"."+bare, bare)
	}
	for _, candidate := range append(candidates, key) {
		if _, ok := c.raw[candidate]; ok {
			return candidate
		}
	}
	return "the flow"
}

// workerOrigin says which key gives a flow's worker a value.
func (c *Config) workerOrigin(f Flow, key string) string {
	if _, ok := c.raw[key]; ok && hasPrefix(key, workerPrefixes) {
		return key
	}
	return c.clusterOrigin(f.Target, key)
}

// checkReport writes the report; the first failure to write ends it.
type checkReport struct {
	out io.Writer
	err error
}

func (r *checkReport) line(format string, args ...any) {
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.out, format+"\n", args...)
	}
}

// section writes a title with a count, and a line for each entry.
func (r *checkReport) section(title string, entries []string) {
	r.line("%s: %d", title, len(entries))
	indent := strings.Repeat(" ", len(title)-len(strings.TrimLeft(title, " "))+2)
	for _, entry := range entries {
		r.line("%s%s", indent, entry)
	}
}
