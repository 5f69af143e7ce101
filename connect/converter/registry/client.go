package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/twmb/franz-go/pkg/sr"

	"tributary/connect"
)

// Kind is the type of schemas, with the registry's names.
type Kind string

// The types of schemas.
const (
	Avro     Kind = "AVRO"
	JSON     Kind = "JSON"
	Protobuf Kind = "PROTOBUF"
)

var kinds = map[Kind]sr.SchemaType{Avro: sr.TypeAvro, JSON: sr.TypeJSON, Protobuf: sr.TypeProtobuf}

// Schema is a schema as the registry has it.
type Schema struct {
	ID   int
	Text string
	// Version is the schema's version under the subject of the topic, 0 where it is not
	// known.
	Version int
	// References are the schemas that this one names, by the name it uses for them, those
	// that they name in turn included.
	References []Reference
}

// Reference is a schema that another one refers to by Name.
type Reference struct{ Name, Text string }

// Client asks a registry, and remembers the answers. Like a converter it is used by one
// goroutine at a time.
type Client struct {
	kind     Kind
	isKey    bool
	strategy string
	register bool
	latest   bool
	strict   bool
	fixedID  int
	ttl      time.Duration
	params   []sr.Param
	sr       *sr.Client
	hosts    string // for messages, without users and passwords
	now      func() time.Time

	written *simplelru.LRU[writtenKey, int]
	byID    *simplelru.LRU[idKey, Schema]
	newest  *simplelru.LRU[string, newest]
}

type writtenKey struct{ subject, text string }

type idKey struct {
	subject string
	id      int
}

type newest struct {
	schema Schema
	until  time.Time // zero is for ever
}

// Open reads the settings of a converter whose definition begins with Keys, and returns a
// client for them. Nothing is asked yet. An error names what does not fit.
func Open(kind Kind, definition *connect.ConfigDef, config map[string]string, isKey bool) (*Client, connect.Values, error) {
	config = withType(config, isKey)
	v, err := definition.ParseValues(config)
	if err != nil {
		return nil, v, err
	}
	c, err := newClient(kind, config, v, isKey)
	return c, v, err
}

// Memory remembers as many things as the converter is to remember schemas.
func Memory[K comparable, V any](v connect.Values) *simplelru.LRU[K, V] {
	memory, _ := simplelru.NewLRU[K, V](int(v.Int(CacheSize)), nil) // the size was checked
	return memory
}

// newClient takes config, the settings as text, for ssl. keys.
func newClient(kind Kind, config map[string]string, v connect.Values, isKey bool) (*Client, error) {
	c := &Client{kind: kind, isKey: isKey, register: v.Bool(autoRegister), latest: v.Bool(useLatest), fixedID: int(v.Int(useID)), now: time.Now}
	c.strategy = strategyClass(v.String("value.subject.name.strategy"))
	if isKey {
		c.strategy = strategyClass(v.String("key.subject.name.strategy"))
	}
	c.strict = v.Bool(latestStrict)
	if c.fixedID >= 0 {
		c.strict = v.Bool(idStrict)
	}
	if seconds := v.Int(latestTTL); seconds >= 0 {
		c.ttl = time.Duration(seconds) * time.Second
	} else {
		c.ttl = -1
	}
	if v.Bool(normalize) {
		c.params = append(c.params, sr.Normalize)
	}
	size := max(int(v.Int(perSubject)), 1)
	c.written, _ = simplelru.NewLRU[writtenKey, int](size, nil) // sizes above 0 are fine
	c.byID, _ = simplelru.NewLRU[idKey, Schema](size, nil)
	c.newest, _ = simplelru.NewLRU[string, newest](size, nil)
	var err error
	c.sr, c.hosts, err = dial(config, v)
	return c, err
}

// ForWriting returns the schema that a value of a topic is written with. own is the
// value's own schema and record its name, "" if it has none; fits reports whether values
// of own may be written with another schema that the settings ask for.
func (c *Client) ForWriting(topic, record, own string, fits func(chosen Schema) error) (Schema, error) {
	subject, err := c.subject(topic, record)
	if err != nil {
		return Schema{}, err
	}
	var chosen Schema
	switch {
	case c.register || c.fixedID < 0 && !c.latest:
		return c.ownID(subject, own)
	case c.fixedID >= 0:
		chosen, err = c.get(subject, c.fixedID)
	default:
		chosen, err = c.latestOf(subject)
	}
	if err != nil || !c.strict {
		return chosen, err
	}
	if err := fits(chosen); err != nil {
		key := latestStrict
		if c.fixedID >= 0 {
			key = idStrict
		}
		return Schema{}, fmt.Errorf("the value's schema does not fit schema %d of subject %s; set %s=false to write it all the same: %w", chosen.ID, subject, key, err)
	}
	return chosen, nil
}

func (c *Client) ownID(subject, text string) (Schema, error) {
	key := writtenKey{subject, text}
	if id, ok := c.written.Get(key); ok {
		return Schema{ID: id, Text: text}, nil
	}
	schema := sr.Schema{Schema: text, Type: kinds[c.kind]}
	ctx := sr.WithParams(context.Background(), c.params...)
	var id int
	var err error
	if c.register {
		if id, err = c.sr.RegisterSchema(ctx, subject, schema, -1, -1); err != nil {
			return Schema{}, c.explain(err, "registering the schema under subject %s", subject)
		}
	} else {
		found, err := c.sr.LookupSchema(ctx, subject, schema)
		if err != nil {
			return Schema{}, c.explain(err, "looking the schema up under subject %s (%s=false)", subject, autoRegister)
		}
		id = found.ID
	}
	c.written.Add(key, id)
	return Schema{ID: id, Text: text}, nil
}

func (c *Client) latestOf(subject string) (Schema, error) {
	if known, ok := c.newest.Get(subject); ok && (known.until.IsZero() || c.now().Before(known.until)) {
		return known.schema, nil
	}
	found, err := c.sr.SchemaByVersion(context.Background(), subject, -1)
	if err != nil {
		return Schema{}, c.explain(err, "asking for the latest schema of subject %s", subject)
	}
	out, err := c.whole(found.Schema, found.ID)
	if err != nil {
		return Schema{}, err
	}
	out.Version = found.Version
	entry := newest{schema: out}
	if c.ttl >= 0 {
		entry.until = c.now().Add(c.ttl)
	}
	c.newest.Add(subject, entry)
	return out, nil
}

// ForReading returns the schema with an id that a value of a topic was written with, with
// its version where the topic has one subject for all its values.
func (c *Client) ForReading(topic string, id int) (Schema, error) {
	subject := ""
	if c.strategy == topicName {
		subject, _ = c.subject(topic, "")
	}
	return c.get(subject, id)
}

func (c *Client) get(subject string, id int) (Schema, error) {
	key := idKey{subject, id}
	if s, ok := c.byID.Get(key); ok {
		return s, nil
	}
	ctx := context.Background()
	if subject != "" {
		ctx = sr.WithParams(ctx, sr.Subject(subject))
	}
	found, err := c.sr.SchemaByID(ctx, id)
	if subject != "" && isNotFound(err) {
		// Mirrored topics have names under which nothing is registered; the subject is but a hint.
		found, err = c.sr.SchemaByID(context.Background(), id)
	}
	if err != nil {
		return Schema{}, c.explain(err, "asking for schema %d", id)
	}
	if found.Type != kinds[c.kind] {
		return Schema{}, fmt.Errorf("schema %d is of type %s, not %s", id, found.Type, c.kind)
	}
	out, err := c.whole(found, id)
	if err != nil {
		return Schema{}, err
	}
	if out.Version, err = c.version(subject, id); err != nil {
		return Schema{}, err
	}
	c.byID.Add(key, out)
	return out, nil
}

// version is that of the schema with the id under a subject; 0 where there is none.
func (c *Client) version(subject string, id int) (int, error) {
	if subject == "" {
		return 0, nil
	}
	all, err := c.sr.SchemaVersionsByID(context.Background(), id)
	if isNotFound(err) {
		return 0, nil // old registries do not know the request
	}
	if err != nil {
		return 0, c.explain(err, "asking for the versions of schema %d", id)
	}
	for _, v := range all {
		if v.Subject == subject {
			return v.Version, nil
		}
	}
	return 0, nil
}

func isNotFound(err error) bool {
	refused, ok := errors.AsType[*sr.ResponseError](err)
	return ok && refused.StatusCode == http.StatusNotFound
}

func (c *Client) whole(s sr.Schema, id int) (Schema, error) {
	out := Schema{ID: id, Text: s.Schema}
	err := c.follow(s.References, map[string]bool{}, &out.References)
	return out, err
}

// maxReferences bounds what a schema can make the converter ask for.
const maxReferences = 1000

// follow lists references before what refers to them.
func (c *Client) follow(refs []sr.SchemaReference, seen map[string]bool, to *[]Reference) error {
	for _, ref := range refs {
		if seen[ref.Name] {
			continue
		}
		if seen[ref.Name] = true; len(seen) > maxReferences {
			return fmt.Errorf("the schema refers to more than %d others", maxReferences)
		}
		found, err := c.sr.SchemaByVersion(context.Background(), ref.Subject, ref.Version)
		if err != nil {
			return c.explain(err, "asking for version %d of subject %s, which a schema refers to as %s", ref.Version, ref.Subject, ref.Name)
		}
		if err := c.follow(found.References, seen, to); err != nil {
			return err
		}
		*to = append(*to, Reference{ref.Name, found.Schema.Schema})
	}
	return nil
}

// explain says what was asked of whom. What may pass by itself, a registry that cannot be
// reached or has trouble of its own, is a *connect.RetriableError.
func (c *Client) explain(err error, what string, args ...any) error {
	what = fmt.Sprintf(what, args...)
	if refused, ok := errors.AsType[*sr.ResponseError](err); ok {
		err := fmt.Errorf("%s: the Schema Registry at %s answered %d: %s", what, c.hosts, refused.StatusCode, answerText(refused))
		switch refused.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return connect.Retriable(err)
		}
		return err
	}
	// An url.Error names the address, with what stands in it.
	for inner := (*url.Error)(nil); errors.As(err, &inner); {
		err = inner.Err
	}
	return connect.Retriable(fmt.Errorf("%s: the Schema Registry at %s cannot be reached: %w", what, c.hosts, err))
}

// answerText is what a registry, or a proxy before it, said; cut, because it may be a page.
func answerText(e *sr.ResponseError) string {
	const most = 500
	text := e.Error()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

// Failure is the error of a converter: what says what it did, "Failed to serialize Avro
// data from topic t" and the like. Retriable errors stay so; all others become a
// *connect.DataError.
func Failure(what string, err error) error {
	if retriable, ok := errors.AsType[*connect.RetriableError](err); ok {
		return connect.Retriable(fmt.Errorf("%s: %w", what, retriable.Err))
	}
	return &connect.DataError{Message: what, Err: err}
}

const headerSize = 5

// AppendHeader appends the five bytes before a value.
func AppendHeader(b []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0), uint32(id))
}

// SplitHeader takes the five bytes off a value.
func SplitHeader(data []byte) (id int, rest []byte, err error) {
	switch {
	case len(data) < headerSize:
		return 0, nil, fmt.Errorf("there are %d bytes, fewer than the %d before each value of a Schema Registry", len(data), headerSize)
	case data[0] != 0:
		return 0, nil, fmt.Errorf("Unknown magic byte!: the value begins with %#02x, where those of a Schema Registry begin with 0x00", data[0])
	}
	return int(int32(binary.BigEndian.Uint32(data[1:]))), data[headerSize:], nil
}
