package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Class names of the source connector and its task.
const (
	SourceConnectorClass = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
	SourceTaskClass      = "org.apache.kafka.connect.mirror.MirrorSourceTask"
)

// quickLook is how often the topics of both clusters are looked at unless the user
// sets refresh.topics.interval.seconds. MirrorMaker 2 looks every ten minutes; one
// metadata request to each cluster is cheap, and a new topic's records wait for it.
const quickLook = 2 * time.Second

// SourceConnector finds the topics to mirror, creates them on the target, keeps their
// configurations and ACLs in step, and divides their partitions among tasks.
type SourceConnector struct {
	settings *settings
	topics   replica.TopicFilter
	configs  replica.ConfigPropertyFilter
	logger   *slog.Logger
	troubles *troubles
	context  connect.ConnectorContext
	metrics  sourceConnectorMetrics
	// loop says that source and target are one cluster; it belongs to run's goroutine.
	loop bool
	// compared says that loop is known; it belongs to run's goroutine.
	compared bool

	source, target *cluster
	syncs          *cluster // the cluster of the offset-syncs topic; nil when there is none to keep
	view           *topicView
	drift          drift // belongs to run's goroutine
	ended          sync.WaitGroup
	cancel         context.CancelFunc

	mu sync.Mutex
	// looked says that partitions holds the result of a look, not nothing.
	looked     bool
	partitions []replica.TopicPartition
	batch      *batchRun // the last one, in the batch mode
	mode       string
	refills    map[string]string // ids of copies to refill, by topic
	matched    []string          // topics, sorted; nil before the first look
	said       []string          // what is wrong, for the replication page
	// dealt is how partitions were dealt out last.
	dealt [][]replica.TopicPartition
	load  loads // with task.assignment=load
}

// NewSourceConnector returns a connector that does nothing yet.
func NewSourceConnector() *SourceConnector { return &SourceConnector{} }

// ConfigDef implements connect.Connector.
func (*SourceConnector) ConfigDef() *connect.ConfigDef { return sourceDef }

// NewTask implements connect.SourceConnector.
func (*SourceConnector) NewTask() connect.SourceTask { return &SourceTask{} }

// Start checks the configuration and leaves the rest to a goroutine, for a cluster
// may be out of reach for long. Errors are those of the configuration.
func (c *SourceConnector) Start(ctx context.Context, cc connect.ConnectorContext, config map[string]string) error {
	s, err := readSettings(sourceDef, cc.Name(), config)
	if err != nil {
		return err
	}
	c.settings, c.context, c.logger = s, cc, cc.Logger()
	c.mu.Lock()
	c.looked, c.partitions, c.batch, c.matched, c.said, c.refills, c.mode = false, nil, nil, nil, nil, nil, s.String(modeKey)
	c.dealt, c.load = nil, loads{}
	c.mu.Unlock()
	c.cancel, c.loop, c.compared = nil, false, false
	if !s.Bool(enabledKey) {
		return nil
	}
	if c.topics, err = replica.NewTopicFilter(s.String(replica.TopicFilterClassKey), config); err != nil {
		return err
	}
	if c.configs, err = replica.NewConfigPropertyFilter(s.String(replica.ConfigPropertyFilterClassKey), config); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return errors.Join(err, c.close())
	}
	c.troubles = newTroubles(c.logger)
	c.metrics = newSourceConnectorMetrics(cc.Metrics(), s)
	c.view = newTopicView(c)
	ctx, c.cancel = context.WithCancel(ctx)
	c.ended.Go(func() { c.run(ctx) })
	return nil
}

func (c *SourceConnector) open() (err error) {
	s := c.settings
	if c.source, err = s.openCluster(onSource, "replication-source-admin", c.logger); err != nil {
		return err
	}
	if c.target, err = s.openCluster(onTarget, "replication-target-admin", c.logger); err != nil {
		return err
	}
	if !s.Bool(emitSyncsKey) {
		return nil
	}
	if s.syncsOnSource() {
		c.syncs, err = s.openCluster(onSource, "offset-syncs-source-admin", c.logger)
	} else {
		c.syncs, err = s.openCluster(onTarget, "offset-syncs-target-admin", c.logger)
	}
	return err
}

func (c *SourceConnector) close() error {
	err := errors.Join(c.source.close(), c.target.close(), c.syncs.close())
	c.source, c.target, c.syncs = nil, nil, nil
	return err
}

func (c *SourceConnector) run(ctx context.Context) {
	if awaitClusters(ctx, c.source, c.target) != nil {
		return
	}
	s := c.settings
	var chores []chore
	chores = append(chores, chore{name: "find out whether source and target are one cluster", do: c.compareClusters})
	if c.syncs != nil {
		topic := internalTopic{s.syncsTopic(), "consumer groups cannot be translated", syncsReplicationFactorKey}
		chores = append(chores, chore{name: "create the offset-syncs topic", do: func(ctx context.Context) error {
			return s.createInternalTopic(ctx, c.syncs, topic, c.troubles)
		}})
	}
	look := chore{name: "look at the topics of both clusters", every: s.period(refreshTopics), patient: true, do: c.look}
	if look.every == 0 {
		c.logger.Info("Topics are looked at once only: new ones will not be mirrored", "key", refreshTopics+enabledSuffix)
	} else if !s.given(refreshTopics + intervalSuffix) {
		look.every, look.gentle = quickLook, true
		// Creating topics takes long but once, and must not put off the next look.
		look.cost = func() time.Duration { return c.view.listing() }
	}
	chores = append(append(chores, look), c.batchChores()...)
	if s.String(assignmentKey) == assignLoad {
		chores = append(chores, chore{name: "look at how much is written to the source", every: loadLook, do: c.onceLooked(c.lookAtLoad)})
	}
	if every := s.period(syncTopicACLs); every > 0 {
		chores = append(chores, chore{name: "carry ACLs over", every: every, patient: true, do: c.onceLooked(c.syncACLs)})
	}
	if every := s.period(syncTopicConfigs); every > 0 {
		chores = append(chores, chore{name: "carry topic configurations over", every: every, patient: true, do: c.onceLooked(c.syncConfigs)})
	}
	doChores(ctx, s.millis(adminTimeoutKey), c.troubles, chores...)
}

// compareClusters finds out whether the flow begins and ends in the same cluster. Then the
// copies are among the topics of the source, and must not be copied again.
func (c *SourceConnector) compareClusters(ctx context.Context) error {
	source, err := c.source.admin.ClusterID(ctx)
	if err != nil {
		return fmt.Errorf("ask cluster %s for its id: %w", c.settings.source, err)
	}
	target, err := c.target.admin.ClusterID(ctx)
	if err != nil {
		return fmt.Errorf("ask cluster %s for its id: %w", c.settings.target, err)
	}
	c.loop = source != "" && source == target
	c.compared = true
	return nil
}

// onceLooked holds a chore back until the topics are known.
func (c *SourceConnector) onceLooked(do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		c.mu.Lock()
		looked := c.looked
		c.mu.Unlock()
		if !looked {
			return errNotYet
		}
		return do(ctx)
	}
}

// look brings the target's topics in line with the source's, and asks for new tasks
// when the partitions that can be mirrored have changed.
func (c *SourceConnector) look(ctx context.Context) error {
	if !c.compared {
		return errNotYet
	}
	began := time.Now()
	partitions, err := c.view.refresh(ctx)
	if err != nil {
		return err
	}
	c.lookForHidden(ctx)
	c.metrics.look.Set(float64(time.Since(began)) / float64(time.Millisecond))
	c.mu.Lock()
	changed := !c.looked || !slices.Equal(c.partitions, partitions) || !maps.Equal(c.refills, c.view.refills)
	c.refills = maps.Clone(c.view.refills)
	before := len(c.partitions)
	c.looked, c.partitions = true, partitions
	c.matched = slices.AppendSeq(make([]string, 0, len(c.view.seen)), maps.Keys(c.view.seen))
	slices.Sort(c.matched)
	c.said = c.complaints()
	c.mu.Unlock()
	c.metrics.unmirrored.Set(float64(c.view.unmirrored()))
	surplus := int32(0)
	for _, n := range c.view.surplus {
		surplus += n
	}
	c.metrics.surplus.Set(float64(surplus))
	c.metrics.partitions.Set(float64(len(partitions)))
	c.metrics.troubles.Set(float64(c.troubles.count()))
	if changed {
		c.logger.Info("The partitions to mirror have changed", "before", before, "now", len(partitions))
		c.context.RequestTaskReconfiguration()
	}
	return nil
}

// topicName is what can be a name in a list of patterns for topics.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$`)

// lookForHidden asks for the topics that the configuration names outright and that the cluster does not list: brokers
// list only what a client may see, and say nothing of the rest unless they are asked for it.
func (c *SourceConnector) lookForHidden(ctx context.Context) {
	var names []string
	for _, name := range c.settings.List(replica.TopicsKey) {
		if _, seen := c.view.seen[name]; !seen && topicName.MatchString(name) {
			names = append(names, name)
		}
	}
	const most = 100 // asked for at one time
	names = names[:min(len(names), most)]
	_, failed, err := c.source.admin.LookUpTopics(ctx, names...)
	if err != nil {
		return // the next look tells
	}
	for _, name := range names {
		err := failed[name]
		if !isDenied(err) {
			err = nil // it does not exist, or there are none left to be hidden
		}
		c.troubles.report("hidden topic "+name, err, "A topic that is to be mirrored cannot be seen", "topic", name, "cluster", c.settings.source)
	}
}

// complaints says what is wrong with the whole, and logs what is new. The view belongs
// to the caller's goroutine.
func (c *SourceConnector) complaints() []string {
	s := c.settings
	none := fmt.Sprintf("No topic of cluster %s matches topics=%s without topics.exclude=%s, so nothing is mirrored",
		s.source, strings.Join(s.List(replica.TopicsKey), ","), strings.Join(s.List(replica.TopicsExcludeKey), ","))
	if !slices.ContainsFunc(slices.Collect(maps.Keys(c.view.seen)), func(topic string) bool { return !s.policy.IsHeartbeatsTopic(topic) }) {
		c.troubles.once("no topic matches", none, "cluster", s.source)
		return []string{none}
	}
	c.troubles.forget("no topic matches")
	var said []string
	if n := c.view.unmirrored(); n > 0 {
		said = append(said, fmt.Sprintf("%d partitions of topics that match cannot be mirrored at present; the log says why", n))
	}
	for _, topic := range slices.Sorted(maps.Keys(c.view.surplus)) {
		said = append(said, fmt.Sprintf("The remote topic %s has %d partitions more than its source topic: it is left as it is, and they stay empty", s.remoteTopic(topic), c.view.surplus[topic]))
	}
	if c.drift != (drift{}) {
		said = append(said, fmt.Sprintf("%d topic properties and %d ACLs of the source could not be carried over; the log says why", c.drift.properties, c.drift.acls))
	}
	return said
}

// drift is how much of the source's settings the target refused when they were last
// carried over.
type drift struct{ properties, acls int }

// TaskConfigs deals the partitions out among the tasks, one after the other. Before the
// first look it is a *connect.RetriableError, so that tasks of an earlier life go on.
func (c *SourceConnector) TaskConfigs(_ context.Context, maxTasks int) ([]map[string]string, error) {
	if !c.settings.Bool(enabledKey) {
		return nil, nil
	}
	partitions, ends, known := c.assignable()
	if !known {
		return nil, connect.Retriable(fmt.Errorf("what is to be mirrored from cluster %s to %s is not known yet", c.settings.source, c.settings.target))
	}
	n := max(min(maxTasks, len(partitions)), 0)
	if n == 0 {
		return nil, nil
	}
	tasks := c.deal(partitions, n)
	c.mu.Lock()
	refills := c.refills
	c.mu.Unlock()
	configs := make([]map[string]string, len(tasks))
	for i, assigned := range tasks {
		configs[i] = sourceDef.WithoutLive(c.settings.props)
		configs[i][assignedPartitions] = joined(assigned, replica.TopicPartition.String)
		if ends != nil {
			configs[i][batchEndsKey] = joined(assigned, func(tp replica.TopicPartition) string { return strconv.FormatInt(ends[tp], 10) })
		}
		configs[i][taskIndexKey] = strconv.Itoa(i)
		if refill := refillOf(assigned, refills); refill != "" {
			configs[i][taskRefillKey] = refill
		}
	}
	return configs, nil
}

func joined(tps []replica.TopicPartition, text func(replica.TopicPartition) string) string {
	texts := make([]string, len(tps))
	for i, tp := range tps {
		texts[i] = text(tp)
	}
	return strings.Join(texts, ",")
}

// Stop implements connect.Connector.
func (c *SourceConnector) Stop(context.Context) error {
	if c.cancel == nil {
		return nil
	}
	c.cancel()
	c.ended.Wait()
	return c.close()
}

// Where the user does not say how large transactions are, they last this long, which costs
// little throughput and little time until records can be read, and hold at most so many
// bytes, which bounds what a task keeps in memory until they are committed. See
// docs/decisions/transactions.md.
const (
	transactionInterval = 250 * time.Millisecond
	transactionBytes    = 32 << 20
)

// TransactionPace implements connect.TransactionPacer.
func (*SourceConnector) TransactionPace() (time.Duration, int64) {
	return transactionInterval, transactionBytes
}

// ExactlyOnceSupport implements connect.ExactlyOnceSupporter: records of aborted
// transactions must not be mirrored.
func (*SourceConnector) ExactlyOnceSupport(config map[string]string) connect.ExactlyOnceSupport {
	if readsCommitted(config) {
		return connect.ExactlyOnceSupported
	}
	return connect.ExactlyOnceUnsupported
}

// ValidateConfig implements connect.ConfigValidator.
func (*SourceConnector) ValidateConfig(config map[string]string) map[string][]string {
	errs := classErrors(config, replica.TopicFilterClassKey, replica.ConfigPropertyFilterClassKey)
	modeErrors(errs, config)
	_, wrong := parseStartRules(config)
	for key, texts := range wrong {
		errs[key] = append(errs[key], texts...)
	}
	if config[enabledKey] != "false" {
		clients := []clientOf{{onSource, kafka.RoleConsumer}, {onSource, kafka.RoleAdmin}, {onTarget, kafka.RoleAdmin}}
		switch {
		case config[emitSyncsKey] == "false":
		case config[syncsLocationKey] == locationTarget:
			clients = append(clients, clientOf{onTarget, kafka.RoleProducer})
		default:
			clients = append(clients, clientOf{onSource, kafka.RoleProducer})
		}
		clientErrors(errs, config, clients...)
	}
	if config[exactlyOnceKey] == "required" && !readsCommitted(config) {
		errs[exactlyOnceKey] = append(errs[exactlyOnceKey],
			exactlyOnceKey+"=required needs source.consumer.isolation.level=read_committed: else records of aborted transactions are mirrored, too")
	}
	if config[emitSyncsKey] == "false" {
		for _, k := range slices.Sorted(maps.Keys(config)) {
			if strings.HasPrefix(k, "offset-syncs-") || strings.HasPrefix(k, "offset-syncs.topic.") {
				errs[emitSyncsKey] = append(errs[emitSyncsKey], fmt.Sprintf("%s is false, but %s is set: leave out one of the two", emitSyncsKey, k))
				break
			}
		}
	}
	return errs
}

// AlterOffsets implements connect.OffsetAlterer. Any offset of the right form will do:
// the tasks read nothing else when they start.
func (*SourceConnector) AlterOffsets(_ context.Context, _ map[string]string, changes []connect.OffsetChange) (bool, error) {
	return checkChanges(changes, replica.CheckSourceOffset)
}

func checkChanges(changes []connect.OffsetChange, check func(partition, offset map[string]any) error) (bool, error) {
	for _, change := range changes {
		if err := check(change.Partition, change.Offset); err != nil {
			return false, err
		}
	}
	return true, nil
}
