package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/api"
	"tributary/storage"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

const (
	connector = "chaos"
	// answer is how long a request to a worker may take that may just be gone.
	answer = 5 * time.Second
	// settling is how long the mirror may take to catch up when the chaos is over: zombies'
	// transactions end with their time-out at the latest.
	settling = 2 * time.Minute
)

// scene is what a run takes place on: two clusters of one broker, and workers that mirror
// from one to the other.
type scene struct {
	t              *testing.T
	random         *rand.Rand
	source, target *realkafka.Cluster
	properties     map[string]string
	config         map[string]string
	workers        []*cluster.Worker
	failed         []string // traces of tasks that failed
	// before is called ahead of each action that may make records be written again, and
	// returns what is to be called behind it.
	before func() (after func())
}

func (s *scene) spawn() *cluster.Worker {
	s.t.Helper()
	var file strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.properties)) {
		fmt.Fprintf(&file, "%s=%s\n", key, s.properties[key])
	}
	return cluster.Spawn(s.t, cluster.Distributed, file.String())
}

// ask makes a request to any worker that answers, until one does.
func (s *scene) ask(what string, request func(ctx context.Context, c *api.Client) error) {
	s.t.Helper()
	var last error
	for range 30 {
		for _, w := range s.workers {
			ctx, cancel := context.WithTimeout(s.t.Context(), answer)
			last = request(ctx, &api.Client{BaseURL: w.URL()})
			cancel()
			if last == nil {
				return
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	s.t.Logf("%s: given up: %v", what, last)
}

// mend restarts what has failed, as an operator would, and keeps why.
func (s *scene) mend() {
	s.t.Helper()
	s.ask("status", func(ctx context.Context, c *api.Client) error {
		status, err := c.Status(ctx, connector)
		if err != nil {
			return err
		}
		for _, task := range status.Tasks {
			if task.State == string(storage.StateFailed) {
				cause, _, _ := strings.Cut(task.Trace, "\n")
				s.failed = append(s.failed, fmt.Sprintf("task %d: %s", task.ID, cause))
				if err := c.RestartTask(ctx, connector, task.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// action is one thing that goes wrong, or that an operator does.
type action struct {
	name string
	do   func(s *scene)
}

var (
	killWorker = action{"a worker is killed", func(s *scene) {
		i := s.random.IntN(len(s.workers))
		s.workers[i].Kill()
		s.pause(3 * time.Second)
		s.workers[i] = s.spawn()
	}}
	stopWorker = action{"a worker is restarted", func(s *scene) {
		i := s.random.IntN(len(s.workers))
		s.workers[i].Stop()
		s.workers[i] = s.spawn()
	}}
	// A worker that comes back to life after others took over its tasks is the zombie that
	// fencing is for.
	freezeWorker = action{"a worker is frozen beyond its session", func(s *scene) {
		w := s.workers[s.random.IntN(len(s.workers))]
		w.Freeze()
		time.Sleep(9 * time.Second)
		w.Thaw()
	}}
	restartTask = action{"a task is restarted", func(s *scene) {
		s.ask("restart of a task", func(ctx context.Context, c *api.Client) error {
			status, err := c.Status(ctx, connector)
			if err != nil || len(status.Tasks) == 0 {
				return errors.Join(err, errors.New("no tasks"))
			}
			return c.RestartTask(ctx, connector, status.Tasks[s.random.IntN(len(status.Tasks))].ID)
		})
	}}
	divideAnew = action{"the work is divided anew", func(s *scene) {
		s.config["tasks.max"] = fmt.Sprint(1 + s.random.IntN(partitions))
		s.configure()
	}}
	killTarget = action{"the target broker is killed", func(s *scene) { s.killBroker(s.target) }}
	killSource = action{"the source broker is killed", func(s *scene) { s.killBroker(s.source) }}
)

func (s *scene) killBroker(c *realkafka.Cluster) {
	c.Brokers()[0].Kill()
	s.pause(3 * time.Second)
	c.Brokers()[0].Start()
}

// pause waits for some time below most.
func (s *scene) pause(most time.Duration) { time.Sleep(time.Duration(s.random.Int64N(int64(most)))) }

func (s *scene) configure() {
	s.t.Helper()
	s.ask("configuration", func(ctx context.Context, c *api.Client) error {
		_, _, err := c.PutConfig(ctx, connector, s.config)
		return err
	})
}

// begun waits until records of each topic arrive.
func (s *scene) begun(topics []string) {
	s.t.Helper()
	dst := kafkatest.Dial(s.t, s.target.Bootstrap())
	for _, topic := range topics {
		kafkatest.Await(s.t, settling, "the first records of "+topic, func() (bool, string) {
			if !slices.Contains(dst.Topics(), "src."+topic) {
				return false, "no such topic yet"
			}
			arrived := int64(0)
			for _, at := range dst.Offsets("src." + topic) {
				arrived += at.End
			}
			return arrived > 0, ""
		})
	}
}

// rage lets things go wrong for a while: each of the actions at least once in any long
// run, in an order of the generator's.
func (s *scene) rage(length time.Duration, actions []action) {
	s.t.Helper()
	began := time.Now()
	for time.Since(began) < length {
		for _, i := range s.random.Perm(len(actions)) {
			if time.Since(began) >= length {
				break
			}
			after := s.before()
			s.t.Logf("%6.1f s: %s", time.Since(began).Seconds(), actions[i].name)
			actions[i].do(s)
			after()
			s.pause(3 * time.Second)
			s.mend()
		}
	}
}

// settled waits until the mirror of each topic is complete, by compare, which describes
// the first difference.
func (s *scene) settled(topics []string, compare func(src, dst map[int32][]kafkatest.Record) string) {
	s.t.Helper()
	src, dst := kafkatest.Dial(s.t, s.source.Bootstrap()), kafkatest.Dial(s.t, s.target.Bootstrap())
	for _, topic := range topics {
		want := src.ReadTopic(topic, kafkatest.ReadCommitted)
		kafkatest.Await(s.t, settling, "the mirror of "+topic, func() (bool, string) {
			s.mend()
			got := dst.ReadTopic("src."+topic, kafkatest.ReadCommitted)
			difference := compare(want, got)
			if difference != "" {
				time.Sleep(time.Second) // reading all of it again costs what the mirror needs
			}
			return difference == "", difference
		})
		records := 0
		for _, of := range want {
			records += len(of)
		}
		s.t.Logf("%s: %d records arrived", topic, records)
		if records == 0 {
			s.t.Errorf("nothing was written to %s", topic)
		}
	}
}
