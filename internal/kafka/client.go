package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// Client knows the brokers of one cluster and how to ask them. Creating one never touches the
// network. All methods may be called from any goroutine; a call ends when its context does.
type Client struct {
	cfg    *Config
	logger *slog.Logger
	pool   *pool

	mu         sync.Mutex
	brokers    map[int32]string // id → host:port, as of the last answer
	controller int32
	clusterID  string
	health     string // last logged state of Await
	closed     bool   // nothing is logged any more
}

// NewClient returns a client for the cluster of cfg. Close it when done.
func NewClient(cfg *Config, logger *slog.Logger) (*Client, error) {
	if len(cfg.BootstrapServers) == 0 {
		return nil, errors.New("bootstrap.servers is empty; it must list at least one host:port")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	} else if cfg.dialer != nil {
		cfg.dialer.SetLogger(logger)
	}
	return &Client{cfg: cfg, logger: logger, pool: newPool(cfg), controller: -1}, nil
}

// Close cuts all connections. Calls that run return with an error.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	outages.leave(c.Bootstrap(), c)
	c.pool.close()
	return nil
}

// Bootstrap is the bootstrap.servers value, comma separated, for messages.
func (c *Client) Bootstrap() string { return strings.Join(c.cfg.BootstrapServers, ",") }

// Await blocks until a broker answers, or ctx ends. It logs one line when it has to wait, one when
// the reason changes, and one when it is over.
func (c *Client) Await(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		_, err := c.askMetadata(ctx, nil, true)
		if err == nil {
			c.report("")
			return nil
		}
		if ctx.Err() != nil {
			if last := c.state(); last != "" {
				return fmt.Errorf("waiting for the Kafka cluster %s, which %s: %w", c.Bootstrap(), last, ctx.Err())
			}
			return fmt.Errorf("waiting for the Kafka cluster %s: %w", c.Bootstrap(), ctx.Err())
		}
		if errors.Is(err, ErrClosed) {
			return err
		}
		c.report(err.Error())
		if err := sleep(ctx, c.cfg.Backoff(attempt-1)); err != nil {
			return fmt.Errorf("waiting for the Kafka cluster %s (%s): %w", c.Bootstrap(), c.state(), err)
		}
	}
}

func (c *Client) state() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

func (c *Client) report(state string) {
	// The lock is held throughout: a client that is closed meanwhile must not be left on the board.
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.health
	c.health = state
	switch {
	case c.closed || state == before:
	case state == "":
		c.log(outages.leave(c.Bootstrap(), c), "Kafka cluster answers", "cluster", c.Bootstrap())
	default:
		c.log(outages.enter(c.Bootstrap(), c), "Kafka cluster cannot be used yet, trying on", "cluster", c.Bootstrap(), "reason", state)
	}
}

func (c *Client) log(level slog.Level, message string, args ...any) {
	c.logger.Log(context.Background(), level, message, args...)
}

// ClusterID asks for the cluster's id.
func (c *Client) ClusterID(ctx context.Context) (string, error) {
	if err := c.retry(ctx, "asking for the cluster id", func() error {
		_, err := c.askMetadata(ctx, nil, true)
		return err
	}); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clusterID, nil
}

// retry repeats try while its error is retriable, for default.api.timeout.ms at most.
func (c *Client) retry(ctx context.Context, what string, try func() error) error {
	limit := c.cfg.APITimeout
	if limit <= 0 || c.cfg.Role == RoleProducer {
		limit = max(c.cfg.RequestTimeout, time.Minute)
	}
	deadline := time.Now().Add(limit)
	for attempt := 0; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), dropContext(err)))
		}
		if !IsRetriable(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		pause := c.pause(attempt, err)
		if time.Now().Add(pause).After(deadline) {
			return &TimeoutError{What: what, After: limit, Key: "default.api.timeout.ms", Err: err}
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// settlingTries is how often a broker that answers is asked again without a growing pause.
const settlingTries = 30

// pause is how long to wait before the next try. A broker that answers that a leader or coordinator is
// not known yet is about to know, as after a topic was created: asking it soon again costs little, and
// a pause that doubles costs most of a start.
func (c *Client) pause(attempt int, err error) time.Duration {
	var answer *ServerError
	if errors.As(err, &answer) && attempt < settlingTries {
		attempt = 0
	}
	return c.cfg.Backoff(attempt)
}

// dropContext removes what only repeats the context's own error.
func dropContext(err error) error {
	if err == context.Canceled || err == context.DeadlineExceeded { //nolint:errorlint // exactly these
		return nil
	}
	return err
}

// sleep waits, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askMetadata asks about topics; no topics means all, unless none says "about no topic".
func (c *Client) askMetadata(ctx context.Context, topics []string, none bool) (*sarama.MetadataResponse, error) {
	if none {
		// sarama cannot ask about no topic: an empty list means all. A name that no topic can have
		// costs one error entry, not a listing of everything.
		topics = []string{noSuchTopic}
	}
	return c.metadata(ctx, topics, false)
}

// metadata asks any broker: known ones first, in random order, then the bootstrap servers.
func (c *Client) metadata(ctx context.Context, topics []string, autoCreate bool) (*sarama.MetadataResponse, error) {
	var answer *sarama.MetadataResponse
	err := c.anyBroker(ctx, func(b *sarama.Broker) error {
		req := sarama.NewMetadataRequest(sarama.MaxVersion, topics)
		req.AllowAutoTopicCreation = autoCreate
		resp, err := b.GetMetadata(req)
		answer = resp
		return err
	})
	if err != nil {
		return nil, err
	}
	c.learn(answer)
	return answer, nil
}

// noSuchTopic is not a legal topic name, so no broker creates or has it.
const noSuchTopic = "?"

func (c *Client) learn(resp *sarama.MetadataResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(resp.Brokers) > 0 {
		c.brokers = make(map[int32]string, len(resp.Brokers))
		for _, b := range resp.Brokers {
			c.brokers[b.ID()] = b.Addr()
		}
	}
	c.controller = resp.ControllerID
	if resp.ClusterID != nil {
		c.clusterID = *resp.ClusterID
	}
}

func (c *Client) anyBroker(ctx context.Context, call func(*sarama.Broker) error) error {
	var errs []error
	seen := make(map[string]bool)
	for _, addr := range c.candidates() {
		if seen[addr] {
			continue
		}
		seen[addr] = true
		err := c.pool.do(ctx, addr, call)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrClosed) || !broken(err) {
			return err
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return joined(errs)
}

// joinedErrors reads as one line, unlike errors.Join.
type joinedErrors []error

func joined(errs []error) error { return joinedErrors(errs) }

func (e joinedErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	slices.Sort(texts) // brokers are asked in random order; the same failures must read the same
	return strings.Join(slices.Compact(texts), "; ")
}

func (e joinedErrors) Unwrap() []error { return e }

func (c *Client) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make([]string, 0, len(c.brokers)+len(c.cfg.BootstrapServers))
	for _, addr := range c.brokers {
		known = append(known, addr)
	}
	shuffle(known)
	seeds := slices.Clone(c.cfg.BootstrapServers)
	shuffle(seeds)
	return append(known, seeds...)
}

func shuffle(s []string) { rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }

// brokerAddr is where a broker listens; asked anew when it is not known.
func (c *Client) brokerAddr(ctx context.Context, id int32) (string, error) {
	c.mu.Lock()
	addr, ok := c.brokers[id]
	c.mu.Unlock()
	if ok {
		return addr, nil
	}
	if _, err := c.askMetadata(ctx, nil, true); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if addr, ok = c.brokers[id]; !ok {
		return "", &ServerError{Code: int16(sarama.ErrBrokerNotAvailable), Message: fmt.Sprintf("broker %d is not in the cluster at present", id)}
	}
	return addr, nil
}

// onBroker runs one call on a broker.
func (c *Client) onBroker(ctx context.Context, id int32, call func(*sarama.Broker) error) error {
	addr, err := c.brokerAddr(ctx, id)
	if err != nil {
		return err
	}
	err = c.pool.do(ctx, addr, call)
	if broken(err) && ctx.Err() == nil {
		c.forget(id)
	}
	return err
}

// forget drops an address that does not answer, so that the next call asks for it anew.
func (c *Client) forget(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.brokers, id)
}

// onController runs one call on the controller.
func (c *Client) onController(ctx context.Context, call func(*sarama.Broker) error) error {
	c.mu.Lock()
	id := c.controller
	c.mu.Unlock()
	if id < 0 {
		if _, err := c.askMetadata(ctx, nil, true); err != nil {
			return err
		}
		c.mu.Lock()
		id = c.controller
		c.mu.Unlock()
		if id < 0 {
			return &ServerError{Code: int16(sarama.ErrNotController), Message: "the cluster has no controller at present"}
		}
	}
	err := c.onBroker(ctx, id, call)
	if errors.Is(err, ErrNotController) || broken(err) {
		c.mu.Lock()
		c.controller = -1
		c.mu.Unlock()
	}
	return err
}

// coordinator asks who coordinates a group or a transactional id; op is what for.
func (c *Client) coordinator(ctx context.Context, kind sarama.CoordinatorType, key string, op Operation) (id int32, addr string, err error) {
	err = c.anyBroker(ctx, func(b *sarama.Broker) error {
		req := &sarama.FindCoordinatorRequest{Version: 3, CoordinatorKey: key, CoordinatorType: kind}
		resp, err := b.FindCoordinator(req)
		if err != nil {
			return err
		}
		if err := c.cfg.answerError(resp.Err, resp.ErrMsg, op, key); err != nil {
			return err
		}
		if resp.Coordinator == nil {
			return ErrCoordinatorNotAvailable
		}
		id, addr = resp.Coordinator.ID(), resp.Coordinator.Addr()
		return nil
	})
	return id, addr, err
}

// onCoordinator runs one call on the coordinator of a group or a transactional id.
func (c *Client) onCoordinator(ctx context.Context, kind sarama.CoordinatorType, key string, op Operation, call func(*sarama.Broker) error) error {
	_, addr, err := c.coordinator(ctx, kind, key, op)
	if err != nil {
		return err
	}
	return c.pool.do(ctx, addr, call)
}

// partitionLeader is what metadata says about one partition.
type partitionLeader struct {
	leader int32 // -1 while there is none
	err    error
}

// leaders asks who leads the partitions of some topics. A topic that does not exist, or must not be
// seen, has an entry in the second map instead.
//
// op is what they are asked for, which refusals name. autoCreate lets the brokers create topics that do not exist, if
// their configuration allows it.
func (c *Client) leaders(ctx context.Context, topics []string, op Operation, autoCreate bool) (map[TopicPartition]partitionLeader, map[string]error, error) {
	if len(topics) == 0 {
		return nil, nil, nil
	}
	resp, err := c.metadata(ctx, topics, autoCreate)
	if err != nil {
		return nil, nil, err
	}
	leaders, failed := make(map[TopicPartition]partitionLeader), make(map[string]error)
	for _, t := range resp.Topics {
		if err := c.cfg.answerError(t.Err, nil, op, t.Name); err != nil {
			failed[t.Name] = err
			continue
		}
		for _, p := range t.Partitions {
			l := partitionLeader{leader: p.Leader}
			if p.Leader < 0 {
				l.err = c.cfg.answerError(sarama.ErrLeaderNotAvailable, nil, op, t.Name)
			}
			leaders[TopicPartition{t.Name, p.ID}] = l
		}
	}
	return leaders, failed, nil
}
