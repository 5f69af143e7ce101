package worker

import (
	"context"
	"maps"
	"regexp"
)

// ConfigTransformer resolves the ${provider:[path:]key} references of a
// configuration. It returns a new map and leaves unknown references as they are. It
// is called on the instance's goroutine and may block until ctx ends.
type ConfigTransformer interface {
	Transform(ctx context.Context, connector string, config map[string]string) (map[string]string, error)
}

// identity is the ConfigTransformer of a worker without providers.
type identity struct{}

func (identity) Transform(_ context.Context, _ string, config map[string]string) (map[string]string, error) {
	return maps.Clone(config), nil
}

// reference is a provider's reference as Kafka defines it.
var reference = regexp.MustCompile(`\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`)

// restoreReferences puts the reference back wherever a task configuration has a key
// whose value in the connector's raw configuration holds one, so that no secret is
// written to the config topic.
func restoreReferences(raw map[string]string, configs []map[string]string) {
	for key, value := range raw {
		if !reference.MatchString(value) {
			continue
		}
		for _, config := range configs {
			if _, has := config[key]; has {
				config[key] = value
			}
		}
	}
}
