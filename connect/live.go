package connect

// LiveTask is a source task that follows some keys of its connector's configuration while
// it runs: those that are Live. They are not in the task's configuration, and a change of
// nothing else restarts no task.
type LiveTask interface {
	SourceTask
	// UseLive is called before Start, and after each change with a goroutine of its own,
	// one call at a time: with the connector's values of its Live keys, references
	// resolved, and with the number of the connector's tasks. It must return soon.
	UseLive(values map[string]string, tasks int)
}

// Live returns those entries of a configuration whose keys are Live.
func (d *ConfigDef) Live(config map[string]string) map[string]string {
	live := map[string]string{}
	for _, k := range d.keys {
		if v, ok := config[k.Name]; ok && k.Live {
			live[k.Name] = v
		}
	}
	return live
}

// WithoutLive returns a copy of a configuration without keys that are Live.
func (d *ConfigDef) WithoutLive(config map[string]string) map[string]string {
	rest := make(map[string]string, len(config))
	for name, v := range config {
		if k, ok := d.index[name]; !ok || !k.Live {
			rest[name] = v
		}
	}
	return rest
}
