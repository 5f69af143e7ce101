package mirror

import (
	"tributary/connectors/mirror/replica"
)

// property is one configuration entry of a topic, as far as the mirror cares.
type property struct {
	name, value string
	origin      origin
	// fixed says that it cannot be carried over: read-only, or its value is secret.
	fixed bool
}

// origin says where a topic's property has its value from.
type origin int

const (
	// ofTopic: set on the topic itself.
	ofTopic origin = iota
	// ofCluster: set for brokers at run time, which the target need not have.
	ofCluster
	// ofBrokerFile: set in a broker's own file.
	ofBrokerFile
	// builtIn: Kafka's default.
	builtIn
)

// propertyChange is one change of a topic's configuration; remove goes back to the
// default.
type propertyChange struct {
	name, value string
	remove      bool
}

// carried reports whether the mirror has a say in a property of a source topic.
func carried(filter replica.ConfigPropertyFilter, p property) bool {
	return !p.fixed && p.origin != ofBrokerFile && filter.ShouldReplicateConfigProperty(p.name)
}

// creationProperties are the properties that a new remote topic gets.
func creationProperties(filter replica.ConfigPropertyFilter, source []property) map[string]string {
	configs := map[string]string{}
	for _, p := range source {
		if carried(filter, p) && (p.origin != builtIn || filter.ShouldReplicateSourceDefault(p.name)) {
			configs[p.name] = p.value
		}
	}
	return configs
}

// propertyChanges are what is missing to make target, the configuration of a remote
// topic, follow source. MirrorMaker 2 sends every property every time.
func propertyChanges(filter replica.ConfigPropertyFilter, source, target []property) []propertyChange {
	now := make(map[string]property, len(target))
	for _, p := range target {
		now[p.name] = p
	}
	var changes []propertyChange
	for _, p := range source {
		if !carried(filter, p) {
			continue
		}
		has, there := now[p.name]
		overridden := there && has.origin == ofTopic
		if p.origin == builtIn && !filter.ShouldReplicateSourceDefault(p.name) {
			if overridden {
				changes = append(changes, propertyChange{name: p.name, remove: true})
			}
			continue
		}
		if !overridden || has.value != p.value {
			changes = append(changes, propertyChange{name: p.name, value: p.value})
		}
	}
	return changes
}
