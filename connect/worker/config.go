package worker

import (
	"math"
	"time"

	"tributary/connect"
	"tributary/internal/metrics"
)

// Config is what the worker's properties say to the runtime of connectors and tasks.
type Config struct {
	// GracefulTimeout is all the time that instances stopped together have
	// (task.shutdown.graceful.timeout.ms).
	GracefulTimeout time.Duration
	// FlushInterval lies between two offset commits of a task (offset.flush.interval.ms),
	// FlushTimeout is all the time that one may take (offset.flush.timeout.ms).
	FlushInterval, FlushTimeout time.Duration
	// TopicCreation lets source connectors have their topics created with settings of
	// their own (topic.creation.enable).
	TopicCreation bool
	// TopicTracking reports the topics that tasks write to (topic.tracking.enable).
	TopicTracking bool
	// Metrics says how long measurements count.
	Metrics metrics.WindowConfig
	// Properties are the worker's properties as given: converters that a connector
	// does not choose come from here.
	Properties map[string]string
}

var configDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "key.converter", Type: connect.TypeClass, Required: true, Importance: connect.High,
		Doc: "Converter for the keys of records, for connectors that do not choose their own."},
	connect.ConfigKey{Name: "value.converter", Type: connect.TypeClass, Required: true, Importance: connect.High,
		Doc: "Converter for the values of records, for connectors that do not choose their own."},
	connect.ConfigKey{Name: "header.converter", Type: connect.TypeClass, Default: simpleHeaderClass, Importance: connect.Low,
		Doc: "Converter for the header values of records, for connectors that do not choose their own."},
	connect.ConfigKey{Name: "task.shutdown.graceful.timeout.ms", Type: connect.TypeLong, Default: int64(5000), Importance: connect.Low,
		Doc: "Time that all instances stopped together have to stop, in milliseconds; what is not done by then is cut off."},
	connect.ConfigKey{Name: "offset.flush.interval.ms", Type: connect.TypeLong, Default: int64(60000), Importance: connect.Low,
		Doc: "Time between two commits of a task's offsets, in milliseconds."},
	connect.ConfigKey{Name: "offset.flush.timeout.ms", Type: connect.TypeLong, Default: int64(5000), Importance: connect.Low,
		Doc: "Time that one commit of offsets may take, in milliseconds, before it is given up and tried again with the next one."},
	connect.ConfigKey{Name: "topic.creation.enable", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Doc: "Whether source connectors may have their topics created with settings of their own."},
	connect.ConfigKey{Name: "topic.tracking.enable", Type: connect.TypeBoolean, Default: true, Importance: connect.Low,
		Doc: "Whether the topics that connectors use are recorded."},
	connect.ConfigKey{Name: "metrics.sample.window.ms", Type: connect.TypeLong, Default: int64(30000), Importance: connect.Low, Validate: connect.AtLeast(0),
		Doc: "Length of one sample of what averages, maxima and rates are made of, in milliseconds."},
	connect.ConfigKey{Name: "metrics.num.samples", Type: connect.TypeInt, Default: int64(2), Importance: connect.Low, Validate: connect.AtLeast(1),
		Doc: "How many of these samples count."},
)

const simpleHeaderClass = "org.apache.kafka.connect.storage.SimpleHeaderConverter"

// ConfigDef declares the keys that [ParseConfig] reads.
func ConfigDef() *connect.ConfigDef { return configDef }

// ParseConfig reads the worker's properties. The error is a connect.ConfigErrors.
func ParseConfig(properties map[string]string) (Config, error) {
	v, err := configDef.ParseValues(properties)
	if err != nil {
		return Config{}, err
	}
	return Config{
		GracefulTimeout: millis(v.Int("task.shutdown.graceful.timeout.ms")),
		FlushInterval:   millis(v.Int("offset.flush.interval.ms")),
		FlushTimeout:    millis(v.Int("offset.flush.timeout.ms")),
		TopicCreation:   v.Bool("topic.creation.enable"),
		TopicTracking:   v.Bool("topic.tracking.enable"),
		Metrics:         metrics.WindowConfig{Length: millis(v.Int("metrics.sample.window.ms")), Samples: int(v.Int("metrics.num.samples"))},
		Properties:      properties,
	}, nil
}

// millis converts milliseconds; what a Duration cannot hold is the longest one.
func millis(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}
