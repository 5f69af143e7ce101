package kafka

import (
	"log/slog"
	"strings"
	"sync"
)

// outages is shared by all clients of the process: a worker has a dozen of them for one cluster, and that the cluster
// is away should be said once, not by each. It is about log lines alone.
var outages = outageBoard{clusters: map[string]*outage{}}

// outageBoard knows which clusters, by bootstrap servers, cannot be used at the moment, and who found out.
type outageBoard struct {
	mu       sync.Mutex
	clusters map[string]*outage
}

// outage is a cluster that at least one client cannot use.
type outage struct {
	speaker any // who said so; nil when that one can use the cluster again
	holders map[any]struct{}
}

// Away reports whether a client of this process has found and said that the cluster cannot be used, and none has found
// the contrary yet. bootstrap is the value of bootstrap.servers. It is for deciding what is worth a log line: what
// merely follows from an outage is not.
func Away(bootstrap []string) bool {
	return outages.has(strings.Join(bootstrap, ","))
}

func (b *outageBoard) has(cluster string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clusters[cluster] != nil
}

// enter notes that holder cannot use the cluster, and returns the level to log that at: one holder warns for all.
func (b *outageBoard) enter(cluster string, holder any) slog.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.clusters[cluster]
	if o == nil {
		o = &outage{speaker: holder, holders: map[any]struct{}{}}
		b.clusters[cluster] = o
	}
	o.holders[holder] = struct{}{}
	if o.speaker == nil {
		// Who spoke has recovered and others have not: what holder has found out may be news, and nobody else would tell it.
		o.speaker = holder
	}
	if o.speaker == holder {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// leave notes that holder can use the cluster again, or does not want to any more, and returns the level to log the
// former at: it is worth telling when nobody has trouble left. For who was not in trouble it is not.
func (b *outageBoard) leave(cluster string, holder any) slog.Level {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.clusters[cluster]
	if o == nil {
		return slog.LevelDebug
	}
	if _, in := o.holders[holder]; !in {
		return slog.LevelDebug
	}
	delete(o.holders, holder)
	if o.speaker == holder {
		o.speaker = nil
	}
	if len(o.holders) > 0 {
		return slog.LevelDebug
	}
	delete(b.clusters, cluster)
	return slog.LevelInfo
}
