package herder

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/connect/plugin"
)

// OverridePolicy says which settings of its clients a connector may change
// (connector.client.config.override.policy). The zero value allows all.
type OverridePolicy struct {
	name    string // "" is All
	allowed []string
}

// ParseOverridePolicy reads a policy's name, which may be its Java class, and the list
// that the policy Allowlist goes by.
func ParseOverridePolicy(name string, allowlist []string) (OverridePolicy, error) {
	short := name[strings.LastIndexByte(name, '.')+1:]
	switch strings.TrimSuffix(short, "ConnectorClientConfigOverridePolicy") {
	case "", "All":
		return OverridePolicy{}, nil
	case "None":
		return OverridePolicy{name: "None"}, nil
	case "Principal":
		return OverridePolicy{name: "Principal", allowed: []string{"sasl.jaas.config", "sasl.mechanism", "security.protocol"}}, nil
	case "Allowlist":
		return OverridePolicy{name: "Allowlist", allowed: allowlist}, nil
	}
	return OverridePolicy{}, fmt.Errorf("connector.client.config.override.policy is %q: it must be All, None, Principal or Allowlist", name)
}

// refusal is why a setting may not be changed, "" if it may.
func (p OverridePolicy) refusal(key string) string {
	if p.name == "" || slices.Contains(p.allowed, key) {
		return ""
	}
	return "The '" + p.name + "' policy does not allow '" + key + "' to be overridden in the connector configuration."
}

// overrides evaluates the settings for the clients that the connector uses.
func (c *check) overrides() ([]*item, error) {
	var items []*item
	for _, client := range c.clients() {
		prefix := client.prefix()
		for _, key := range slices.Sorted(maps.Keys(c.config)) {
			name, ok := strings.CutPrefix(key, prefix)
			if !ok {
				continue
			}
			i := &item{key: client.keys()[name], name: key, visible: true}
			if text := c.config[key]; text != nil {
				i.value = *text
				if i.key != nil {
					bare := *i.key
					parsed := connect.NewConfigDef(bare).Parse(map[string]string{name: *text})[0]
					if len(parsed.Errors) > 0 {
						// Java fails here instead of adding the message to the answer.
						return nil, fmt.Errorf("%s", parsed.Errors[0])
					}
					i.value = parsed.Value
				}
			}
			if reason := c.validator.Overrides.refusal(name); reason != "" {
				i.fail(reason)
			}
			items = append(items, i)
		}
	}
	return items, nil
}

// clients are those that the connector's tasks use.
func (c *check) clients() []client {
	if c.plugin.Kind == plugin.Sink {
		if strings.TrimSpace(deref(c.config["errors.deadletterqueue.topic.name"])) == "" {
			return []client{consumerClient}
		}
		return []client{producerClient, consumerClient, adminClient}
	}
	used := []client{producerClient}
	offsets := c.validator.GroupID != "" && (c.validator.ExactlyOnce || strings.TrimSpace(deref(c.config["offsets.storage.topic"])) != "")
	if offsets {
		used = append(used, consumerClient)
	}
	creates := false
	for key := range c.config {
		creates = creates || strings.HasPrefix(key, "topic.creation.")
	}
	if offsets || creates {
		used = append(used, adminClient)
	}
	return used
}
