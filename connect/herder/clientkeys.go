package herder

import (
	_ "embed"
	"strings"
	"sync"

	"tributary/connect"
)

// clientKeys lists what Kafka's clients read, one key a line: name, type, importance,
// the clients that have it by their first letters, and "required", "null" or "=" and
// the default.
//
//go:embed clientkeys.txt
var clientKeyLines string

// client is a kind of Kafka client whose settings a connector may override.
type client struct {
	// name is also the prefix of the connector's keys for it: producer.override.
	name string
	keys func() map[string]*connect.ConfigKey
}

func (c client) prefix() string { return c.name + ".override." }

// The clients in the order in which validation shows them.
var (
	producerClient = newClient("producer")
	consumerClient = newClient("consumer")
	adminClient    = newClient("admin")
)

func newClient(name string) client {
	return client{name: name, keys: sync.OnceValue(func() map[string]*connect.ConfigKey { return clientKeys(name) })}
}

func clientKeys(name string) map[string]*connect.ConfigKey {
	keys := map[string]*connect.ConfigKey{}
	for line := range strings.Lines(clientKeyLines) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		if !strings.Contains(f[3], name[:1]) {
			continue
		}
		k := &connect.ConfigKey{
			Name: f[0], Type: connect.ConfigType(f[1]), Importance: connect.Importance(f[2]), Required: f[4] == "required",
			Doc: "Setting of the " + name + " that Kafka's documentation describes.",
		}
		if text, ok := strings.CutPrefix(f[4], "="); ok {
			k.Default = text // it is only shown
		}
		keys[k.Name] = k
	}
	return keys
}
