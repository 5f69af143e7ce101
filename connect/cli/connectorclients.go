package cli

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/connect/provider"
	"tributary/connect/worker"
	"tributary/internal/kafka"
	"tributary/storage"
	"tributary/storage/kafkastore"
)

// connectorClients opens the clients, beside the tasks' producers, that work with a
// connector's own settings and rights: those of its offsets topic, and the one that
// fences its tasks.
type connectorClients struct {
	props map[string]string
	// exactlyOnce: offsets are written by the tasks' producers, where these write.
	exactlyOnce bool
	// shared is the worker's offset store, topic the settings of its topic.
	shared storage.OffsetStore
	topic  kafkastore.Topic
	log    *slog.Logger
}

var _ worker.OffsetStores = (*connectorClients)(nil)

// layered are the properties of one of a connector's clients: the worker's under prefix,
// over them the connector's under that prefix with "override.".
func (c *connectorClients) layered(prefix string, config map[string]string) kafka.Props {
	out := kafka.Props{}
	for _, layer := range []struct {
		from   map[string]string
		prefix string
	}{{c.props, prefix}, {config, prefix + "override."}} {
		for k, v := range layer.from {
			if key, ok := strings.CutPrefix(k, layer.prefix); ok && !strings.HasPrefix(key, "override.") {
				out[key] = v
			}
		}
	}
	return out
}

// admin are the properties of a connector's admin client.
func (c *connectorClients) admin(config map[string]string, clientID string) kafka.Props {
	props := kafka.Props{"client.id": clientID}
	maps.Copy(props, clientProps(c.props))
	maps.Copy(props, c.layered("admin.", config))
	return props
}

// ownTopic is the offsets topic of a connector, "" if the worker's store does for it: by
// name and by the cluster that its records go to.
func (c *connectorClients) ownTopic(config map[string]string) string {
	topic := config["offsets.storage.topic"]
	bootstrap, moved := c.layered("producer.", config)["bootstrap.servers"]
	elsewhere := moved && !sameServers(bootstrap, c.props["bootstrap.servers"])
	switch {
	case topic == "" && !c.exactlyOnce, topic == "" && !elsewhere:
		return ""
	case topic == "":
		return c.topic.Name // of that name, on the other cluster
	case topic == c.topic.Name && !elsewhere:
		return ""
	}
	return topic
}

func sameServers(a, b string) bool {
	set := func(list string) []string {
		items := List(list)
		slices.Sort(items)
		return slices.Compact(items)
	}
	return slices.Equal(set(a), set(b))
}

// storeRetryPause follows a failure to open a store that may pass.
const storeRetryPause = time.Second

// Open implements worker.OffsetStores.
func (c *connectorClients) Open(ctx context.Context, spec worker.OffsetStoreSpec) (storage.OffsetStore, func(), error) {
	name := c.ownTopic(spec.Config)
	if name == "" {
		return c.shared, func() {}, nil
	}
	options := c.storeOptions(spec, name)
	for {
		own, err := kafkastore.NewOffsetStore(options)
		if err != nil {
			return nil, nil, err
		}
		if err = own.Start(ctx); err == nil {
			return storage.NewOffsetPair(own, c.shared, options.Logger), own.Stop, nil
		}
		if ctx.Err() != nil || !kafka.IsRetriable(err) {
			return nil, nil, err
		}
		options.Logger.Warn("The connector's offsets topic cannot be read yet; trying again", "topic", name, "error", err)
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(storeRetryPause):
		}
	}
}

func (c *connectorClients) storeOptions(spec worker.OffsetStoreSpec, name string) kafkastore.Options {
	topic := c.topic
	topic.Name, topic.Key, topic.SettingsPrefix = name, "offsets.storage.topic", "offset.storage."
	producer := c.layered("producer.", spec.Config)
	admin := c.admin(spec.Config, "connector-adminclient-"+spec.ClientID)
	if servers, moved := producer["bootstrap.servers"]; moved {
		// Java needs this said of all three clients.
		if _, said := c.layered("admin.", spec.Config)["bootstrap.servers"]; !said {
			admin["bootstrap.servers"] = servers
		}
	}
	producer["client.id"] = "connector-offset-producer-" + spec.ClientID
	consumer := c.layered("consumer.", spec.Config)
	consumer["client.id"] = "connector-consumer-" + spec.ClientID
	return kafkastore.Options{
		Props: admin, Consumer: consumer, Producer: producer, Topic: topic, ReadCommitted: true,
		Logger: spec.Concealment.Logger(c.log).With("connector", spec.Connector),
	}
}

// fence implements worker.Fencer.
func (c *connectorClients) fence(ctx context.Context, connector string, config map[string]string, concealment *provider.Concealment, ids []string) (map[string]error, error) {
	admin, err := kafka.ParseConfig(kafka.RoleAdmin, c.admin(config, "connector-worker-adminclient-"+connector))
	if err != nil {
		return nil, err
	}
	log := concealment.Logger(c.log).With("connector", connector)
	client, err := kafka.NewClient(admin, log)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return kafka.NewAdmin(client, admin, log).FenceProducers(ctx, ids...)
}
