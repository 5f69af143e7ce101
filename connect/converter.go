package connect

// Converter turns Connect data into the bytes of a record's key or value and back.
// One instance serves one task's keys or values, from one goroutine at a time.
type Converter interface {
	// Configure is called once, before anything else; isKey says which side it serves.
	Configure(config map[string]string, isKey bool) error
	// FromConnectData returns the bytes to write; nil is a null key or value. A
	// *DataError refuses the value. The result may share memory with value.
	FromConnectData(topic string, headers []Header, schema *Schema, value any) ([]byte, error)
	// ToConnectData parses bytes read from Kafka; nil is a null key or value.
	ToConnectData(topic string, headers []Header, data []byte) (*Schema, any, error)
}

// HeaderConverter is a Converter for header values.
type HeaderConverter interface {
	Configure(config map[string]string) error
	FromConnectHeader(topic, key string, schema *Schema, value any) ([]byte, error)
	ToConnectHeader(topic, key string, data []byte) (*Schema, any, error)
}

// Transformation changes records one at a time (a single message transform).
type Transformation interface {
	ConfigDef() *ConfigDef
	Configure(config map[string]string) error
	// Apply returns the record to go on with: the same, a changed copy, or nil to
	// drop it. The argument must not be changed: it is needed for offsets and retries.
	Apply(record *Record) (*Record, error)
	Close() error
}

// Predicate decides whether a transformation applies to a record.
type Predicate interface {
	ConfigDef() *ConfigDef
	Configure(config map[string]string) error
	Test(record *Record) (bool, error)
	Close() error
}
