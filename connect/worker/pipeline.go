package worker

import (
	"context"
	"errors"
	"fmt"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/internal/kafka"
)

// errSkipped says that a record goes no further: a transformation dropped it, or
// its failure was tolerated.
var errSkipped = errors.New("record skipped")

// pipeline turns source records into Kafka records: transformations, then the
// header, key and value converters. It is used by one goroutine.
type pipeline struct {
	steps     []step
	key       convert
	value     convert
	header    headerConvert
	tolerance *tolerance
	// own is the record that transformations change in place, where all of them can; see useOwn.
	own    connect.Record
	useOwn bool
}

// inPlace is a transformation that keeps no record, and may change own in place: see package transform.
type inPlace interface{ ChangeInPlace(own *connect.Record) }

// shareOwn lets the transformations change the pipeline's record in place, instead of copying records for each step.
// It takes all of them: a plugin of others may keep what it was given.
func (p *pipeline) shareOwn() {
	for _, s := range p.steps {
		if _, ok := s.transformation.(inPlace); !ok || s.predicate != nil {
			return
		}
	}
	for _, s := range p.steps {
		s.transformation.(inPlace).ChangeInPlace(&p.own)
	}
	p.useOwn = len(p.steps) > 0
}

type step struct {
	transformation connect.Transformation
	class          string
	predicate      connect.Predicate // nil applies always
	negate         bool
}

type convert struct {
	converter connect.Converter
	class     string
	stage     stage
	raw       bool // bytes pass through unseen
}

type headerConvert struct {
	converter connect.HeaderConverter
	class     string
	raw       bool
}

// apply fills out, which is blank. It returns errSkipped when the record goes no
// further, and any other error when the task has to fail.
func (p *pipeline) apply(ctx context.Context, record *connect.SourceRecord, out *kafka.Record) error {
	r := &record.Record
	if p.useOwn {
		p.own = *r
		r = &p.own
	}
	for i := range p.steps {
		var err error
		if r, err = p.transform(ctx, &p.steps[i], failurePoint{record: record}, r); err != nil {
			return err
		}
	}
	if r.Timestamp < 0 && r.Timestamp != connect.NoTimestamp {
		return fmt.Errorf("record for topic %s has the timestamp %d; it must be a time since 1970 in milliseconds, or none", r.Topic, r.Timestamp)
	}
	out.Topic, out.Partition, out.Timestamp = r.Topic, r.Partition, r.Timestamp
	if len(r.Headers) > 0 {
		if err := p.headers(ctx, record, r, out); err != nil {
			return err
		}
	}
	var err error
	if out.Key, err = p.convert(ctx, &p.key, record, r, r.KeySchema, r.Key); err != nil {
		return err
	}
	out.Value, err = p.convert(ctx, &p.value, record, r, r.ValueSchema, r.Value)
	return err
}

func (p *pipeline) transform(ctx context.Context, s *step, at failurePoint, r *connect.Record) (*connect.Record, error) {
	result, err := s.apply(r)
	if err != nil {
		if result, err = p.transformAgain(ctx, s, at, r, err); err != nil {
			return nil, err
		}
	}
	if result == nil {
		return nil, errSkipped
	}
	return result, nil
}

// transformAgain follows a failure, like the other attempts again: by themselves, lest what
// they share with the closure costs every record memory.
func (p *pipeline) transformAgain(ctx context.Context, s *step, at failurePoint, r *connect.Record, err error) (result *connect.Record, _ error) {
	at.stage, at.class = stageTransformation, s.class
	err = p.tolerance.retry(ctx, at, err, func() (err error) {
		result, err = s.apply(r)
		return err
	})
	return result, err
}

func (s *step) apply(r *connect.Record) (*connect.Record, error) {
	if s.predicate != nil {
		holds, err := s.predicate.Test(r)
		if err != nil {
			return nil, err
		}
		if holds == s.negate {
			return r, nil
		}
	}
	return s.transformation.Apply(r)
}

func (p *pipeline) convert(ctx context.Context, c *convert, record *connect.SourceRecord, r *connect.Record, schema *connect.Schema, value any) ([]byte, error) {
	if c.raw && (schema == nil || schema.Type == connect.Bytes) {
		switch v := value.(type) {
		case []byte:
			return v, nil
		case nil:
			return nil, nil
		}
	}
	data, err := c.converter.FromConnectData(r.Topic, r.Headers, schema, value)
	if err != nil {
		return p.convertAgain(ctx, c, record, r, schema, value, err)
	}
	return data, nil
}

func (p *pipeline) convertAgain(ctx context.Context, c *convert, record *connect.SourceRecord, r *connect.Record, schema *connect.Schema, value any, err error) (data []byte, _ error) {
	err = p.tolerance.retry(ctx, failurePoint{stage: c.stage, class: c.class, record: record}, err, func() (err error) {
		data, err = c.converter.FromConnectData(r.Topic, r.Headers, schema, value)
		return err
	})
	return data, err
}

func (p *pipeline) headers(ctx context.Context, record *connect.SourceRecord, r *connect.Record, out *kafka.Record) error {
	c := &p.header
	for _, h := range r.Headers {
		data, ok := h.Value.([]byte)
		if !c.raw || !ok && h.Value != nil {
			var err error
			data, err = c.converter.FromConnectHeader(r.Topic, h.Key, h.Schema, h.Value)
			if err != nil {
				err = p.tolerance.retry(ctx, failurePoint{stage: stageHeaderConverter, class: c.class, record: record}, err, func() (err error) {
					data, err = c.converter.FromConnectHeader(r.Topic, h.Key, h.Schema, h.Value)
					return err
				})
			}
			if err != nil {
				return err
			}
		}
		out.Headers = append(out.Headers, kafka.Header{Key: h.Key, Value: data})
	}
	return nil
}

// receive turns a record of a topic into one for a sink task: key, value and header
// converters, then transformations. It returns errSkipped when the record goes no further,
// and any other error when the task has to fail. converted is told the topic of a record
// that could be converted.
func (p *pipeline) receive(ctx context.Context, in *kafka.Record, converted func(topic string)) (*connect.Record, error) {
	// In one piece, for a record and its origin live as long.
	both := &struct {
		record connect.Record
		origin connect.Origin
	}{
		connect.Record{Topic: in.Topic, Partition: in.Partition, Timestamp: in.Timestamp},
		connect.Origin{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset, TimestampType: connect.CreateTime},
	}
	if in.LogAppendTime {
		both.origin.TimestampType = connect.LogAppendTime
	}
	both.origin.SetRaw(in)
	r := &both.record
	r.Origin = &both.origin
	at := failurePoint{consumed: in}
	headers := rawHeaders(in)
	var err error
	if r.KeySchema, r.Key, err = p.parse(ctx, &p.key, at, in.Topic, headers, in.Key); err != nil {
		return nil, err
	}
	if r.ValueSchema, r.Value, err = p.parse(ctx, &p.value, at, in.Topic, headers, in.Value); err != nil {
		return nil, err
	}
	if r.Headers, err = p.parseHeaders(ctx, at); err != nil {
		return nil, err
	}
	if in.Timestamp < 0 && in.Timestamp != connect.NoTimestamp {
		return nil, fmt.Errorf("the record at offset %d of %s-%d has the timestamp %d; it must be a time since 1970 in milliseconds, or none", in.Offset, in.Topic, in.Partition, in.Timestamp)
	}
	converted(in.Topic)
	if p.useOwn {
		p.own = *r
		r = &p.own
	}
	for i := range p.steps {
		if r, err = p.transform(ctx, &p.steps[i], at, r); err != nil {
			return nil, err
		}
	}
	if r == &p.own {
		both.record = p.own
		r = &both.record
	}
	return r, nil
}

// rawHeaders shows a record's headers to its converters, which may need them.
func rawHeaders(in *kafka.Record) []connect.Header {
	if len(in.Headers) == 0 {
		return nil
	}
	headers := make([]connect.Header, len(in.Headers))
	for i, h := range in.Headers {
		headers[i] = connect.Header{Key: h.Key, Schema: connect.OptionalBytesSchema, Value: bytesOrNil(h.Value)}
	}
	return headers
}

// bytesOrNil keeps null apart from an interface that holds a nil slice.
func bytesOrNil(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func (p *pipeline) parse(ctx context.Context, c *convert, at failurePoint, topic string, headers []connect.Header, data []byte) (*connect.Schema, any, error) {
	schema, value, err := c.converter.ToConnectData(topic, headers, data)
	if err != nil {
		return p.parseAgain(ctx, c, at, topic, headers, data, err)
	}
	return schema, value, nil
}

func (p *pipeline) parseAgain(ctx context.Context, c *convert, at failurePoint, topic string, headers []connect.Header, data []byte, err error) (schema *connect.Schema, value any, _ error) {
	at.stage, at.class = c.stage, c.class
	err = p.tolerance.retry(ctx, at, err, func() (err error) {
		schema, value, err = c.converter.ToConnectData(topic, headers, data)
		return err
	})
	return schema, value, err
}

func (p *pipeline) parseHeaders(ctx context.Context, at failurePoint) ([]connect.Header, error) {
	in := at.consumed
	if len(in.Headers) == 0 {
		return nil, nil
	}
	headers := make([]connect.Header, len(in.Headers))
	attempt := func() error {
		for i, h := range in.Headers {
			schema, value, err := p.header.converter.ToConnectHeader(in.Topic, h.Key, h.Value)
			if err == nil {
				err = schema.ValidateHeader(value)
			}
			if err != nil {
				return err
			}
			headers[i] = connect.Header{Key: h.Key, Schema: schema, Value: value}
		}
		return nil
	}
	err := attempt()
	if err != nil {
		at.stage, at.class = stageHeaderConverter, p.header.class
		err = p.tolerance.retry(ctx, at, err, attempt)
	}
	return headers, err
}

// close closes the transformations and predicates.
func (p *pipeline) close() error {
	var errs []error
	for _, s := range p.steps {
		errs = append(errs, s.transformation.Close())
		if s.predicate != nil {
			errs = append(errs, s.predicate.Close())
		}
	}
	return errors.Join(errs...)
}

func isRawConverter(c connect.Converter) bool {
	_, ok := c.(*converter.ByteArray)
	return ok
}

func isRawHeaderConverter(c connect.HeaderConverter) bool {
	_, ok := c.(*converter.ByteArrayHeader)
	return ok
}
