package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"tributary/internal/kafka"
)

// generatorTick and recordsPerTick make about 3,000 records a second.
const (
	generatorTick  = 20 * time.Millisecond
	recordsPerTick = 60
)

// generator writes the events of a shop, keyed by order.
type generator struct{ written atomic.Int64 }

// run writes until ctx ends and returns when everything it wrote was acknowledged.
func (g *generator) run(ctx context.Context, s *side) error {
	config, err := kafka.ParseConfig(kafka.RoleProducer, kafka.Props{"bootstrap.servers": s.props["bootstrap.servers"], "client.id": "demo-generator"})
	if err != nil {
		return err
	}
	producer, err := kafka.NewProducer(s.client, config, s.log)
	if err != nil {
		return err
	}
	finish := context.WithoutCancel(ctx)
	defer producer.Close(finish)
	failed := make(chan error, 1)
	done := func(_ kafka.Metadata, err error) {
		if err == nil {
			g.written.Add(1)
			return
		}
		select {
		case failed <- err:
		default:
		}
	}
	ticker := time.NewTicker(generatorTick)
	defer ticker.Stop()
	for order := 0; ; {
		select {
		case <-ctx.Done():
			return producer.Flush(finish)
		case err := <-failed:
			return err
		case <-ticker.C:
		}
		for range recordsPerTick / len(topics) {
			order++
			for topic := range topics {
				if err := producer.Send(finish, event(topic, order), done); err != nil {
					return err
				}
			}
		}
	}
}

// event is one JSON record about an order; now and then a tombstone, which a mirror has
// to carry like anything else.
func event(topic string, order int) *kafka.Record {
	r := &kafka.Record{
		Topic: topic, Partition: kafka.AnyPartition, Timestamp: time.Now().UnixMilli(), Key: []byte("order-" + strconv.Itoa(order%5000)),
		Headers: []kafka.Header{{Key: "content-type", Value: []byte("application/json")}},
	}
	if order%97 != 0 {
		r.Value = fmt.Appendf(nil, `{"order":%d,"event":%q,"customer":"c%05d","amount":%d.%02d,"currency":"EUR"}`,
			order, topic, rand.IntN(100000), rand.IntN(900)+10, rand.IntN(100))
	}
	return r
}
