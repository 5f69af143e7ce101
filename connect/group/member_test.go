package group_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/internal/kafka"
)

// six pieces of work: two connectors with two tasks each.
func six() map[string]int { return map[string]int{"a": 2, "b": 2} }

// twelve divides evenly by two and by three, connectors and tasks apart.
func twelve() map[string]int {
	return map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// settledOn waits until the workers run everything and share it as said.
func (c *cluster) settledOn(want map[string]int) {
	c.t.Helper()
	await(c.t, "the work to be shared", time.Hour, func() bool { return cmp.Equal(want, c.load()) })
	pass(heartbeatInterval)
	diff(c.t, "shares after the next heartbeat", want, c.load())
}

func TestWorkOfADeadWorkerMovesAfterTheDelayAndComesBackWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twelve())
		c.start("w1")
		c.settledOn(map[string]int{"w1": 12})
		c.start("w2")
		c.settledOn(map[string]int{"w1": 6, "w2": 6})
		w3, _ := c.start("w3")
		c.settledOn(map[string]int{"w1": 4, "w2": 4, "w3": 4})

		died := time.Now()
		w3.die()
		await(t, "the session to end", time.Minute, func() bool {
			return len(c.broker.expired()) == 1
		})
		pass(maxDelay - time.Minute)
		diff(t, "shares during the delay", map[string]int{"w1": 4, "w2": 4}, c.load())
		c.settledOn(map[string]int{"w1": 6, "w2": 6})
		if after := time.Since(died); after < maxDelay || after > maxDelay+sessionTimeout+2*heartbeatInterval+time.Second {
			t.Errorf("the work moved %v after the worker had died", after)
		}

		c.start("w4")
		c.settledOn(map[string]int{"w1": 4, "w2": 4, "w4": 4})
	})
}

func TestWorkerThatComesBackWithinTheDelayGetsItsWorkBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		_, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		before := c.running()

		stop(m2)
		c.mu.Lock()
		for item, worker := range c.runs {
			if worker == "w2" {
				delete(c.runs, item)
			}
		}
		c.mu.Unlock()
		pass(time.Minute)
		diff(t, "shares during the delay", map[string]int{"w1": 3}, c.load())
		diff(t, "who holds what as the leader is told", map[string]string{"http://w1:8083/": itemsOf(before, "w1")}, w1.told())
		back := time.Now()
		c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})

		diff(t, "who runs what", before, c.running())
		if after := time.Since(back); after > 3*heartbeatInterval {
			t.Errorf("it was given its work back after %v", after)
		}
	})
}

func TestStopLeavesWithJavasReasonAndAnotherMemberLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		id := connect.TaskID{Connector: "a", Task: -1}
		task := connect.TaskID{Connector: "b", Task: 1}
		urls := func(m *group.Member) []string { return []string{m.OwnerURL(id), m.OwnerURL(task)} }
		owner := func(item string) string { return "http://" + c.running()[item] + ":8083/" }
		diff(t, "owners as the leader knows them", []string{owner("a"), owner("b-1")}, urls(m1))
		diff(t, "owners as a follower knows them", []string{"", ""}, urls(m2))
		if !w1.round().Leader() || w2.round().Leader() || w2.round().Snapshot.LeaderURL != "http://w1:8083/" {
			t.Errorf("leaders: w1 %v, w2 %v, at %q", w1.round().Leader(), w2.round().Leader(), w2.round().Snapshot.LeaderURL)
		}

		first := w1.round().MemberID
		w1.die()
		w1.line.set(func(l *line) { l.cut = false })
		stop(m1)

		await(t, "w2 to lead", time.Minute, func() bool { return w2.round().Leader() })
		diff(t, "goodbyes", []string{first + ": the consumer is being closed"}, c.broker.goodbyes())
		if w1.line.count("close") != 1 {
			t.Error("the connection is still open")
		}
		// A new leader knows nothing of the delay: it places all that nobody runs.
		c.settledOn(map[string]int{"w2": 6})
		diff(t, "owners as the new leader knows them", []string{"http://w2:8083/", "http://w2:8083/"}, urls(m2))
	})
}

func TestRevokedWorkStopsBeforeTheRoundIsReportedAndIsPlacedOnceSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.takeEvents()
		w1.set(func(w *worker) { w.unsettled = true })
		w2, _ := c.start("w2")
		pass(time.Minute)
		diff(t, "w1", []string{"join", "revoke a a-0 a-1", "round 2: b b-0 b-1"}, w1.takeEvents())
		diff(t, "w2", []string{"join", "round 2: "}, w2.takeEvents())
		diff(t, "revoked, as reported", []string{"a", "a-0", "a-1"}, items(w1.round().Snapshot.Revoked))

		m1.Settled()
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "w1", []string{"join", "round 3: b b-0 b-1"}, w1.takeEvents())
		diff(t, "w2", []string{"join", "round 3: a a-0 a-1"}, w2.takeEvents())
		if held := allocation(t, last(c.broker.joins(), "w1")); !held.Revoked.Empty() {
			t.Errorf("w1 reports %v as revoked after it has settled", held.Revoked)
		}
	})
}

// last is the last JoinGroup of a worker.
func last(joins []kafka.JoinRequest, worker string) kafka.JoinRequest {
	for _, j := range slices.Backward(joins) {
		if strings.Contains(string(j.Protocols[0].Metadata), "http://"+worker+":") {
			return j
		}
	}
	return kafka.JoinRequest{}
}

// allocation is what a member said that it held when it joined.
func allocation(t *testing.T, request kafka.JoinRequest) protocol.Assignment {
	t.Helper()
	metadata, err := protocol.DecodeMetadata(request.Protocols[0].Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if metadata.Allocation == nil {
		return protocol.Assignment{}
	}
	return *metadata.Allocation
}

func TestRejoinCausesOneRoundHoweverOftenItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, map[string]int{"a": 1})
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 2})
		w1.takeEvents()
		synctest.Wait()

		// A round that is past its beginning would not cover what is asked next.
		asked := make(chan struct{})
		w1.set(func(w *worker) { w.busy = func(context.Context, string) { <-asked } })
		c.configure(map[string]int{"a": 2})
		m1.Rejoin("first")
		m1.Rejoin("connector a has new task configurations")
		close(asked)
		pass(time.Minute)

		diff(t, "w1", []string{"join", "round 2: a a-0 a-1"}, w1.takeEvents())
		diff(t, "reason on the wire", "connector a has new task configurations", last(c.broker.joins(), "w1").Reason)
	})
}

func TestRejoinDuringARoundCausesOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, map[string]int{"a": 1})
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 2})
		w1.takeEvents()
		w1.line.set(func(l *line) { l.delays["join"] = 2 * time.Second })

		m1.Rejoin("one")
		pass(time.Second)
		c.configure(map[string]int{"a": 2})
		m1.Rejoin("two")
		pass(time.Minute)

		diff(t, "w1", []string{"join", "round 2: a a-0", "join", "round 3: a a-0 a-1"}, w1.takeEvents())
	})
}

func TestSuspendedWorkerIsAwaitedByTheGroupAndKeepsItsWorkMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		before := c.running()
		w2.takeEvents()

		m2.Suspend("taking too long to read the log")
		pass(time.Minute)
		diff(t, "goodbyes", []string{w2.round().MemberID + ": taking too long to read the log"}, c.broker.goodbyes())
		diff(t, "who runs what", before, c.running())
		diff(t, "w2 while away", []string(nil), w2.takeEvents())

		m2.Rejoin("the config topic can be read again")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "who runs what", before, c.running())
	})
}

func TestSuspendedWorkerStopsItsWorkBeforeTheGroupGivesItAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})

		m2.Suspend("taking too long to read the log")
		pass(maxDelay/2 + time.Second)
		diff(t, "shares", map[string]int{"w1": 3}, c.load())
		c.settledOn(map[string]int{"w1": 6})

		w2.takeEvents()
		m2.Rejoin("the config topic can be read again")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
	})
}

func TestSuspendedWorkerOfAnEagerGroupStopsItsWorkBeforeItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eager := func(o *group.Options) { o.Protocols = []protocol.Subprotocol{protocol.Default} }
		c := newCluster(t, six())
		c.start("w1", eager)
		w2, m2 := c.start("w2", eager)
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		w2.takeEvents()
		held := strings.Join(items(w2.round().Snapshot.Assigned), " ")
		m2.Suspend("taking too long to read the log")
		c.settledOn(map[string]int{"w1": 6})
		diff(t, "w2", []string{"revoke " + held}, w2.takeEvents())
		m2.Rejoin("the config topic can be read again")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
	})
}

// Work stops so long before the broker ends the session that it has stopped when another worker starts it, but no
// earlier: a coordinator may come back until then.
func TestWorkStopsJustBeforeTheSessionEnds(t *testing.T) {
	const early, late = sessionTimeout - 600*time.Millisecond, sessionTimeout - 400*time.Millisecond
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, six())
			w1, m1 := c.start("w1")
			c.settledOn(map[string]int{"w1": 6})
			w1.takeEvents()
			beats := w1.line.count("heartbeat")
			await(t, "a heartbeat", time.Minute, func() bool { return w1.line.count("heartbeat") > beats })
			kept := time.Now()
			w1.line.set(func(l *line) { l.cut, l.silent = !silent, silent })

			if lost, _ := m1.Contact(); !lost.IsZero() {
				t.Errorf("contact was lost %v before the coordinator was gone", time.Since(lost))
			}

			pass(early)
			diff(t, "w1 before its session ends", []string(nil), w1.takeEvents())
			await(t, "w1 to stop its work", time.Minute, func() bool { return len(c.running()) == 0 })
			if after := time.Since(kept); after > late {
				t.Errorf("the work stopped %v after the last heartbeat", after)
			}
			pass(time.Minute)
			diff(t, "w1", []string{"revoke a a-0 a-1 b b-0 b-1"}, w1.takeEvents())
			if got := c.log.with("cannot be reached"); len(got) != 1 {
				t.Errorf("said %d times that the coordinator cannot be reached: %q", len(got), got)
			}

			lost, back := m1.Contact()
			if gone := lost.Sub(kept); gone <= 0 || gone > sessionTimeout {
				t.Errorf("contact was lost %v after the last heartbeat, want within the session", gone)
			}
			select {
			case <-back:
				t.Error("contact is back while the coordinator is gone")
			default:
			}

			w1.line.set(func(l *line) { l.cut, l.silent = false, false })
			c.settledOn(map[string]int{"w1": 6})
			<-back
			if lost, _ := m1.Contact(); !lost.IsZero() {
				t.Error("contact is not back when the coordinator is")
			}
			diff(t, "reported as held", []string(nil), items(allocation(t, last(c.broker.joins(), "w1")).Assigned))
			if len(c.log.with("answers again")) != 1 {
				t.Error("did not say once that the coordinator answers again")
			}
		})
	}
}

func TestCoordinatorLostForLessThanASessionDisturbsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.takeEvents()

		w1.line.set(func(l *line) {
			l.replies["heartbeat"], l.replies["find"] = kafka.ErrNotCoordinator, kafka.ErrCoordinatorNotAvailable
		})
		pass(sessionTimeout - heartbeatInterval - time.Second)
		w1.line.set(func(l *line) { clear(l.replies) })
		pass(time.Minute)

		diff(t, "w1", []string(nil), w1.takeEvents())
		diff(t, "expired sessions", []string(nil), c.broker.expired())
	})
}

func TestOnlyACoordinatorThatIsAwayForLongerThanAHiccupIsWorthALine(t *testing.T) {
	for _, test := range []struct {
		away time.Duration
		want int
	}{{500 * time.Millisecond, 0}, {5 * time.Second, 1}} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, six())
			w1, _ := c.start("w1")
			c.settledOn(map[string]int{"w1": 6})
			beats := w1.line.count("heartbeat")
			w1.line.set(func(l *line) { l.cut = true })
			await(t, "a heartbeat that fails", time.Minute, func() bool { return w1.line.count("heartbeat") > beats })

			pass(test.away)
			w1.line.set(func(l *line) { l.cut = false })
			pass(time.Minute)

			for _, text := range []string{"cannot be reached", "answers again"} {
				if got := c.log.with(text); len(got) != test.want {
					t.Errorf("away for %s after a heartbeat has failed: said %d times that it %s: %q", test.away, len(got), text, got)
				}
			}
		})
	}
}

func TestMemberThatTheGroupForgotJoinsAnewAndKeepsItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		old := w1.round().MemberID
		w1.takeEvents()

		c.broker.forget(old)
		pass(time.Minute)

		diff(t, "w1", []string{"join", "round 3: a a-0 a-1 b b-0 b-1"}, w1.takeEvents())
		if w1.round().MemberID == old {
			t.Error("the member goes by its old id")
		}
		diff(t, "reported as held", []string{"a", "a-0", "a-1", "b", "b-0", "b-1"}, items(allocation(t, last(c.broker.joins(), "w1")).Assigned))
	})
}

// The cluster fails the test if w2 still runs what w1 is given.
func TestWorkOfAMemberThatTheGroupForgotStopsBeforeItIsGivenAwayIfItCannotComeBack(t *testing.T) {
	for _, delay := range []time.Duration{0, 10 * time.Second, time.Minute, maxDelay} {
		for _, unanswered := range []string{"the first join", "the join that waits"} {
			t.Run(delay.String()+"/"+unanswered, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					waits := func(o *group.Options) { o.MaxDelay = delay }
					c := newCluster(t, six())
					w1, _ := c.start("w1", waits)
					c.settledOn(map[string]int{"w1": 6})
					w2, m2 := c.start("w2", waits)
					c.settledOn(map[string]int{"w1": 3, "w2": 3})
					w2.takeEvents()

					// w1 joins after w2 could know, since nobody can stop what it does not know of.
					w1.set(func(w *worker) { w.busy = func(context.Context, string) { pass(heartbeatInterval + time.Second) } })
					w2.line.set(func(l *line) {
						if unanswered == "the first join" {
							l.delays["join"] = time.Hour
						} else {
							l.replies["join"] = &kafka.MemberIDRequiredError{MemberID: "nobody"}
							l.afterReply = func() { l.delays["join"], l.delays["heartbeat"], l.delays["find"] = time.Hour, time.Hour, time.Hour }
						}
					})
					c.broker.forget(w2.round().MemberID)
					await(t, "w2 to notice", time.Minute, func() bool { lost, _ := m2.Contact(); return !lost.IsZero() })
					c.settledOn(map[string]int{"w1": 6})
				})
			})
		}
	}
}

func TestAMemberThatTheGroupForgotHasNoContactUntilARoundHasTakenItInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, _ := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		before := c.running()
		w1.takeEvents()

		w2.set(func(w *worker) { w.busy = func(context.Context, string) { pass(rebalanceTimeout / 2) } })
		c.broker.forget(w1.round().MemberID)
		pass(heartbeatInterval + time.Second)
		lost, back := m1.Contact()
		if lost.IsZero() {
			t.Fatal("there is contact with a group that does not know the member")
		}
		pass(rebalanceTimeout / 3) // the join waits for w2
		select {
		case <-back:
			t.Error("contact is back before the round is complete")
		default:
		}
		<-back
		events := w1.takeEvents()
		diff(t, "w1 when contact is back", []string{"join", "round 4: " + itemsOf(before, "w1")}, events)
		if lost, _ := m1.Contact(); !lost.IsZero() {
			t.Error("contact is lost still")
		}
		diff(t, "who runs what", before, c.running())
	})
}

func TestWorkerThatWasAsleepForLongerThanItsSessionKeepsItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		before := c.running()
		old := w2.round().MemberID
		w2.takeEvents()

		w2.set(func(w *worker) { w.asleep = 2 * sessionTimeout })
		m2.Rejoin("a reason")
		await(t, "the session to end", time.Minute, func() bool { return cmp.Equal([]string{old}, c.broker.expired()) })
		await(t, "w2 to join anew", time.Minute, func() bool { return w2.round().MemberID != old })

		pass(time.Minute)
		diff(t, "who runs what", before, c.running())
		if slices.ContainsFunc(w2.takeEvents(), func(e string) bool { return strings.HasPrefix(e, "revoke") }) {
			t.Error("work was revoked")
		}
	})
}

func TestIllegalGenerationMakesTheMemberJoinUnderItsOwnId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		id := w1.round().MemberID
		w1.takeEvents()

		w1.line.set(func(l *line) { l.replies["heartbeat"] = kafka.ErrIllegalGeneration })
		await(t, "a round", time.Minute, func() bool { return w1.round().Generation == 2 })
		w1.line.set(func(l *line) { clear(l.replies) })
		pass(time.Minute)

		diff(t, "member id", id, w1.round().MemberID)
		diff(t, "w1", []string{"join", "round 2: a a-0 a-1 b b-0 b-1"}, w1.takeEvents())
	})
}

func TestHeartbeatsGoOnWhileWorkStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.set(func(w *worker) {
			w.busy = func(ctx context.Context, doing string) { pass(rebalanceTimeout / 2) }
		})
		c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "expired sessions", []string(nil), c.broker.expired())
		diff(t, "goodbyes", []string(nil), c.broker.goodbyes())
	})
}

func TestCoordinatorLostWhileWorkStopsIsFoundAgainMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.set(func(w *worker) {
			w.busy = func(_ context.Context, doing string) {
				if doing == "revoke" {
					w1.line.set(func(l *line) { l.cut = true })
					pass(sessionTimeout - heartbeatInterval)
					w1.line.set(func(l *line) { l.cut = false })
					pass(2 * sessionTimeout)
				}
			}
		})
		c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "sessions that ended", []string(nil), c.broker.expired())
	})
}

func TestJoinThatIsLostAfterALongWaitCostsNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, _ := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		w1.takeEvents()
		before := c.running()

		// w1 waits for w2 in JoinGroup, longer than a session, when its connection breaks.
		w2.set(func(w *worker) { w.busy = func(context.Context, string) { pass(rebalanceTimeout / 2) } })
		broken := make(chan struct{})
		w1.line.set(func(l *line) { l.broken = broken })
		m1.Rejoin("a reason")
		pass(2 * sessionTimeout)
		w1.line.set(func(l *line) { l.broken, l.replies["find"] = nil, kafka.ErrCoordinatorNotAvailable })
		close(broken)
		pass(sessionTimeout / 2)
		w1.line.set(func(l *line) { clear(l.replies) })
		pass(time.Minute)

		diff(t, "who runs what", before, c.running())
		if slices.ContainsFunc(w1.takeEvents(), func(e string) bool { return strings.HasPrefix(e, "revoke") }) {
			t.Error("work was revoked")
		}
	})
}

// The leader's requests go into a black hole in the middle of a round. A new leader knows of no delay: it places the work
// as soon as the session has ended, and the cluster fails the test if it still runs.
func TestWorkStopsInTimeWhenTheCoordinatorFallsSilentDuringARound(t *testing.T) {
	for from, lost := range map[string][]string{
		"join": {"join", "heartbeat", "find"},
		"sync": {"sync", "heartbeat", "find"},
	} {
		t.Run(from, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, six())
				w1, _ := c.start("w1")
				c.settledOn(map[string]int{"w1": 6})
				_, m2 := c.start("w2")
				c.settledOn(map[string]int{"w1": 3, "w2": 3})
				old, held := w1.round().MemberID, itemsOf(c.running(), "w1")
				w1.takeEvents()

				w1.set(func(w *worker) {
					w.busy = func(context.Context, string) {
						w1.line.set(func(l *line) {
							for _, kind := range lost {
								l.delays[kind] = time.Hour
							}
						})
					}
				})
				m2.Rejoin("a reason")
				await(t, "w2 to run everything", time.Minute, func() bool { return c.load()["w2"] == 6 })
				diff(t, "sessions that ended", []string{old}, c.broker.expired())
				diff(t, "w1", []string{"join", "revoke " + held}, w1.takeEvents())

				w1.set(func(w *worker) { w.busy = nil })
				w1.line.set(func(l *line) { clear(l.delays) })
				c.settledOn(map[string]int{"w1": 3, "w2": 3})
			})
		})
	}
}

func TestWorkerThatWaitsForOthersKeepsItsWorkAsLongAsItsHeartbeatsAreAnswered(t *testing.T) {
	for name, answer := range map[string]error{
		"rebalance in progress": nil, // the broker's own
		"illegal generation":    kafka.ErrIllegalGeneration,
		"unknown member":        kafka.ErrUnknownMemberID,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, six())
				w1, _ := c.start("w1")
				c.settledOn(map[string]int{"w1": 6})
				w2, m2 := c.start("w2")
				c.settledOn(map[string]int{"w1": 3, "w2": 3})
				before, id, round := c.running(), w2.round().MemberID, w2.round().Generation
				w2.takeEvents()

				w1.set(func(w *worker) {
					w.busy = func(context.Context, string) {
						pass(rebalanceTimeout / 2)
						w2.line.set(func(l *line) { clear(l.replies) })
					}
				})
				w2.set(func(w *worker) {
					w.busy = func(context.Context, string) {
						w2.line.set(func(l *line) { l.replies["heartbeat"] = answer })
					}
				})
				beats := w2.line.count("heartbeat")
				m2.Rejoin("a reason")
				await(t, "the round", time.Minute, func() bool { return w2.round().Generation > round })

				if n := w2.line.count("heartbeat") - beats; n < 5 {
					t.Errorf("sent %d heartbeats while it waited for %v", n, rebalanceTimeout/2)
				}
				diff(t, "w2", []string{"join", "round 4: " + itemsOf(before, "w2")}, w2.takeEvents())
				diff(t, "who runs what", before, c.running())
				diff(t, "member id", id, w2.round().MemberID)
				diff(t, "sessions that ended", []string(nil), c.broker.expired())
			})
		})
	}
}

func TestHeartbeatThatFailsOnceWhileOthersAreAwaitedCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		before, round := c.running(), w2.round().Generation
		w2.takeEvents()

		w1.set(func(w *worker) { w.busy = func(context.Context, string) { pass(rebalanceTimeout / 2) } })
		m2.Rejoin("a reason")
		pass(sessionTimeout)
		w2.line.set(func(l *line) { l.cut = true })
		pass(sessionTimeout / 2)
		w2.line.set(func(l *line) { l.cut = false })
		await(t, "the round", time.Minute, func() bool { return w2.round().Generation > round })

		diff(t, "w2", []string{"join", "round 4: " + itemsOf(before, "w2")}, w2.takeEvents())
		diff(t, "who runs what", before, c.running())
	})
}

func TestLongReasonsAreCutToWhatTheWireAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		_, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		m1.Rejoin("x" + strings.Repeat("é", 200))
		pass(time.Minute)
		diff(t, "reason", "x"+strings.Repeat("é", 127), last(c.broker.joins(), "w1").Reason)
	})
}

func TestWorkerThatIsBusyBeyondTheRebalanceTimeoutLeavesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, twelve())
		_, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 12})
		w2, _ := c.start("w2")
		c.settledOn(map[string]int{"w1": 6, "w2": 6})
		old := w2.round().MemberID
		stuck := make(chan struct{})
		w2.set(func(w *worker) {
			w.busy = func(_ context.Context, doing string) {
				if doing == "revoke" {
					<-stuck
				}
			}
		})

		kept := twelve()
		delete(kept, w2.round().Snapshot.Assigned.Connectors[0])
		c.configure(kept)
		m1.Rejoin("a connector was deleted")
		pass(rebalanceTimeout - time.Second)
		diff(t, "goodbyes", []string(nil), c.broker.goodbyes())
		pass(2 * heartbeatInterval)
		diff(t, "goodbyes", []string{old + ": worker poll timeout has expired."}, c.broker.goodbyes())
		if len(c.log.with("worker=w2", "rebalance.timeout.ms=60000", `doing="stopping revoked work"`)) != 1 {
			t.Error("no line says why w2 left")
		}

		pass(time.Minute)
		diff(t, "shares", map[string]int{"w1": 6, "w2": 6}, c.load())
		close(stuck)
		await(t, "w2 to come back", time.Minute, func() bool { return w2.round().MemberID != old })
		c.settledOn(map[string]int{"w1": 6, "w2": 4})
		diff(t, "sessions that ended", []string(nil), c.broker.expired())
	})
}

func TestEagerGroupStopsEverythingBeforeEachJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eager := func(o *group.Options) { o.Protocols = []protocol.Subprotocol{protocol.Default} }
		c := newCluster(t, six())
		w1, _ := c.start("w1", eager)
		c.settledOn(map[string]int{"w1": 6})
		w1.takeEvents()
		w2, _ := c.start("w2", eager)
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "w1", []string{"revoke a a-0 a-1 b b-0 b-1", "join", "round 2: a a-0 b-0"}, w1.takeEvents())
		diff(t, "w2", []string{"join", "round 2: a-1 b b-1"}, w2.takeEvents())
		diff(t, "protocol", protocol.Default, w1.round().Protocol)
	})
}

func TestOneEagerWorkerDowngradesTheGroupWithoutWorkRunningTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.takeEvents()
		// The revocation belongs to the round that places the work elsewhere, so the new
		// worker must be slower than this one.
		w2, m2 := c.startWith("w2", func(w *worker) { w.line.delays["sync"] = time.Second },
			func(o *group.Options) { o.Protocols = []protocol.Subprotocol{protocol.Default} })
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		diff(t, "w1", []string{"join", "revoke a-1 b b-1", "round 2: a a-0 b-0"}, w1.takeEvents())
		diff(t, "protocol", protocol.Default, w1.round().Protocol)

		// And back: when the eager worker is gone the group is incremental again.
		w2.die()
		w2.line.set(func(l *line) { l.cut = false })
		stop(m2)
		c.settledOn(map[string]int{"w1": 6})
		diff(t, "protocol", protocol.Sessioned, w1.round().Protocol)
	})
}

func TestLeaderThatIsBehindSaysSoAndWorkStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, _ := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w1.takeEvents()
		w1.set(func(w *worker) { w.unread = 1 })
		c.configure(six())
		c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		events := w1.takeEvents()
		diff(t, "w1's first round", []string{"join", "round 2: a a-0 a-1 b b-0 b-1", "join"}, events[:3])
		if !slices.ContainsFunc(c.log.with("mismatch=true"), func(string) bool { return true }) {
			t.Error("the leader was not behind")
		}
	})
}

func TestWorkOfAMemberThatSaidGoodbyeMovesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		_, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, m2 := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		left := time.Now()
		m1.MemberDeparted(w2.round().MemberID)
		w2.die()
		w2.line.set(func(l *line) { l.cut = false })
		stop(m2)
		c.settledOn(map[string]int{"w1": 6})
		if after := time.Since(left); after > 3*heartbeatInterval {
			t.Errorf("the work moved after %v", after)
		}
	})
}

func TestRefusalsAreToldOnceAndTriedAgainSlowly(t *testing.T) {
	for name, tc := range map[string]struct {
		kind string
		err  error
		says []string
	}{
		"inconsistent protocol": {"join", kafka.ErrInconsistentProtocol, []string{"group.id=connect-cluster", "connect.protocol", "sessioned compatible default"}},
		"session time-out":      {"join", &kafka.ServerError{Code: 26}, []string{"session.timeout.ms=10000", "group.min.session.timeout.ms"}},
		"group is full":         {"join", kafka.ErrGroupMaxSizeReached, []string{"cannot take part"}},
		"no rights":             {"find", &kafka.AuthorizationError{ResourceType: "group", Resource: "connect-cluster", Err: errors.New("denied")}, []string{"Read on the group"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, six())
				w1, _ := c.startWith("w1", func(w *worker) { w.line.replies[tc.kind] = tc.err })
				pass(time.Minute)
				if n := w1.line.count(tc.kind); n < 5 || n > 7 {
					t.Errorf("tried %d times in a minute", n)
				}
				if got := c.log.with("level=ERROR"); len(got) != 1 {
					t.Errorf("errors: %q", got)
				}
				if len(c.log.with(append(tc.says, "level=ERROR")...)) != 1 {
					t.Errorf("no line says %q: %q", tc.says, c.log.with("level=ERROR"))
				}
				w1.line.set(func(l *line) { clear(l.replies) })
				c.settledOn(map[string]int{"w1": 6})
			})
		})
	}
}

func TestStopInterruptsWhateverTheMemberDoes(t *testing.T) {
	for name, prepare := range map[string]func(*worker){
		"finding": func(w *worker) { w.line.set(func(l *line) { l.replies["find"] = kafka.ErrCoordinatorNotAvailable }) },
		"joining": func(w *worker) { w.line.set(func(l *line) { l.delays["join"] = time.Hour }) },
		"syncing": func(w *worker) { w.line.set(func(l *line) { l.delays["sync"] = time.Hour }) },
		"preparing": func(w *worker) {
			w.set(func(w *worker) { w.busy = func(ctx context.Context, _ string) { <-ctx.Done() } })
		},
		"refused": func(w *worker) { w.line.set(func(l *line) { l.replies["join"] = kafka.ErrInconsistentProtocol }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, six())
				w1, m1 := c.startWith("w1", prepare)
				pass(time.Second)
				began := time.Now()
				stop(m1)
				if after := time.Since(began); after > time.Second || w1.line.count("close") != 1 {
					t.Errorf("stopped after %v, connection closed %d times", after, w1.line.count("close"))
				}
			})
		})
	}
}

func TestStopWhileTheMemberWaitsForOthersSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		w1, m1 := c.start("w1")
		c.settledOn(map[string]int{"w1": 6})
		w2, _ := c.start("w2")
		c.settledOn(map[string]int{"w1": 3, "w2": 3})
		w2.set(func(w *worker) { w.busy = func(ctx context.Context, _ string) { <-ctx.Done() } })
		m1.Rejoin("a reason")
		pass(heartbeatInterval)
		stop(m1)
		diff(t, "goodbyes", []string{w1.round().MemberID + ": the consumer is being closed"}, c.broker.goodbyes())
	})
}

func TestStopDoesNotOutlastItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		stuck := make(chan struct{})
		_, m1 := c.startWith("w1", func(w *worker) { w.busy = func(context.Context, string) { <-stuck } })
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		m1.Stop(ctx)
		diff(t, "time to stop", time.Second, time.Since(began))
		close(stuck)
	})
}
