package worker

// usedTopics remembers which topics a task was heard to use (KIP-558). Its owner guards
// it; nil is nobody's wish to hear.
type usedTopics struct {
	tell   func(topic string)
	resets func() int64

	told map[string]struct{}
	last string // the topic last seen, to save the look-up
	at   int64  // resets when told was begun
}

// usedTopics returns what tells the listener, nil where topics are not tracked.
func (t *taskRun) usedTopics() *usedTopics {
	o := &t.worker.options
	if !o.Config.TopicTracking {
		return nil
	}
	return &usedTopics{
		tell:   func(topic string) { t.reports.unlessCut(func() { o.Listener.TopicUsed(t.id, topic) }) },
		resets: o.Listener.TopicResets, at: o.Listener.TopicResets(),
		told: map[string]struct{}{},
	}
}

// first reports whether a topic is to be told of now. Telling is the caller's, who may
// have a lock to give back before.
func (u *usedTopics) first(topic string) bool {
	if u == nil {
		return false
	}
	if resets := u.resets(); resets != u.at {
		clear(u.told)
		u.last, u.at = "", resets
	}
	if topic == u.last {
		return false
	}
	u.last = topic
	_, known := u.told[topic]
	u.told[topic] = struct{}{}
	return !known
}
