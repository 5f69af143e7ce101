package provider

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Watched resolves as the Providers do that it was made of. Where a provider has a ttl.ms,
// it looks again at what a connector was given each time that is over, and has the
// connector restarted when something has changed, unless the connector's
// config.action.reload is none. Of values it keeps digests under a key of its own, not the
// values. Safe for concurrent use; it has no goroutine but that of a look.
type Watched struct {
	providers *Providers
	log       *slog.Logger
	key       []byte

	mu sync.Mutex
	// here and restart are what Notify was given.
	here    func(connector string) bool
	restart func(connector string)
	watches map[string]*watch
	quiet   map[string]bool // connectors with config.action.reload=none
}

// watch is what one connector was given.
type watch struct {
	// holders are the instances that were given something, each by the end of its context.
	// They do not start at the same time, so what one was given may have changed for another.
	holders map[<-chan struct{}]given
	timer   *time.Timer // nil while nothing is planned
	due     time.Time   // when timer fires
}

// given is what one instance was given, by reference.
type given map[reference]digest

type digest [sha256.Size]byte

// ttlParam is how long, in milliseconds, the values of a provider count.
const ttlParam = "ttl.ms"

const reloadAction = "config.action.reload"

// Watched returns the providers with the looks that ttl.ms asks for. Nothing is restarted
// before Notify.
func (p *Providers) Watched(log *slog.Logger) *Watched {
	w := &Watched{providers: p, log: log, key: make([]byte, 32), watches: map[string]*watch{}, quiet: map[string]bool{}}
	_, _ = rand.Read(w.key) // it never fails
	return w
}

// Notify says who restarts connectors: restart is called when values have changed, on a
// goroutine of its own; here reports whether the connector, or a task of it, is still this
// process's. It is called once.
func (w *Watched) Notify(here func(connector string) bool, restart func(connector string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.here, w.restart = here, restart
}

// Transform is Providers.Transform. What is given under one context is one instance's: it
// counts until that ends, and after that as long as nothing else of the connector runs here,
// such as for a task that has failed because of it.
func (w *Watched) Transform(ctx context.Context, connector string, config map[string]string) (map[string]string, error) {
	answers, err := w.providers.ask(ctx, config)
	if err != nil {
		return nil, err
	}
	w.note(ctx.Done(), connector, config, answers)
	return w.providers.fill(connector, config, answers), nil
}

// note remembers what an instance was given. A task's configuration adds to that of its
// connector, and does not say what config.action.reload is.
func (w *Watched) note(end <-chan struct{}, connector string, config map[string]string, answers map[location]answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, whole := config["connector.class"]
	if whole {
		w.quiet[connector] = strings.EqualFold(strings.TrimSpace(config[reloadAction]), "none")
	}
	if w.quiet[connector] {
		w.forget(connector)
		return
	}
	own := w.watches[connector]
	if own == nil {
		own = &watch{holders: map[<-chan struct{}]given{}}
		w.watches[connector] = own
	}
	seen := own.holders[end]
	if seen == nil || whole {
		seen = given{}
		own.holders[end] = seen
	}
	for key, value := range config {
		if isDefinition(key) {
			continue
		}
		for ref := range references(value) {
			at := location{ref.provider, ref.path}
			if w.providers.ttls[ref.provider] == 0 {
				continue
			}
			if _, known := answers[at]; !known {
				continue
			}
			ref.start, ref.end = 0, 0
			// What was given first is in use: a later part must not hide that it has changed.
			if _, has := seen[ref]; !has {
				seen[ref] = w.digest(answers[at], ref.key)
			}
		}
	}
	w.plan(connector, own)
}

func (w *Watched) digest(a answer, key string) digest {
	h := hmac.New(sha256.New, w.key)
	if value, has := a.values[key]; has {
		h.Write([]byte{1})
		h.Write([]byte(value))
	}
	return digest(h.Sum(nil))
}

// plan has the connector looked at when the shortest of its ttls is over, or earlier if that
// is planned: an instance that starts again and again must not put it off.
func (w *Watched) plan(connector string, own *watch) {
	own.dropEnded()
	var after time.Duration
	for _, seen := range own.holders {
		for ref := range seen {
			if ttl := w.providers.ttls[ref.provider]; after == 0 || ttl < after {
				after = ttl
			}
		}
	}
	if after == 0 {
		w.forget(connector)
		return
	}
	due := time.Now().Add(after)
	if own.timer != nil {
		if !due.Before(own.due) {
			return
		}
		own.timer.Stop()
	}
	own.due = due
	own.timer = time.AfterFunc(after, func() { w.look(connector, own) })
}

// dropEnded forgets the instances that have ended, if others go on.
func (own *watch) dropEnded() {
	var ended []<-chan struct{}
	for end := range own.holders {
		select {
		case <-end:
			ended = append(ended, end)
		default:
		}
	}
	if len(ended) == len(own.holders) {
		return
	}
	for _, end := range ended {
		delete(own.holders, end)
	}
}

func (w *Watched) forget(connector string) {
	if own := w.watches[connector]; own != nil {
		if own.timer != nil {
			own.timer.Stop()
		}
		delete(w.watches, connector)
	}
}

// look compares what the references stand for now.
func (w *Watched) look(connector string, own *watch) {
	w.mu.Lock()
	here, restart := w.here, w.restart
	var refs []reference
	if w.watches[connector] == own {
		own.timer = nil
		own.dropEnded()
		for _, seen := range own.holders {
			refs = slices.AppendSeq(refs, maps.Keys(seen))
		}
	}
	w.mu.Unlock()
	if refs == nil {
		return
	}
	if here == nil || !here(connector) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.watches[connector] == own {
			w.forget(connector)
		}
		return
	}
	changed, err := w.changed(own, refs)
	w.mu.Lock()
	if w.watches[connector] != own {
		w.mu.Unlock()
		return
	}
	if !changed {
		w.plan(connector, own)
		w.mu.Unlock()
		if err != nil {
			w.log.Warn("What a configuration provider says cannot be read again; the connector goes on with what it has", "connector", connector, "error", err)
		}
		return
	}
	w.forget(connector)
	w.mu.Unlock()
	w.log.Info("What a configuration provider says has changed; the connector is restarted", "connector", connector)
	restart(connector)
}

// changed reports whether a reference stands for something else than when an instance was
// given it.
func (w *Watched) changed(own *watch, refs []reference) (bool, error) {
	answers, err := w.providers.lookUp(context.Background(), refs)
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, seen := range own.holders {
		for ref, was := range seen {
			// One that came meanwhile was not looked up.
			if now, known := answers[location{ref.provider, ref.path}]; known && w.digest(now, ref.key) != was {
				return true, nil
			}
		}
	}
	return false, nil
}
