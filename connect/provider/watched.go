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

// watch is what one connector was given, by reference.
type watch struct {
	seen  map[reference]digest
	timer *time.Timer
}

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

// Transform is Providers.Transform.
func (w *Watched) Transform(ctx context.Context, connector string, config map[string]string) (map[string]string, error) {
	answers, err := w.providers.ask(ctx, config)
	if err != nil {
		return nil, err
	}
	w.note(connector, config, answers)
	return w.providers.fill(connector, config, answers), nil
}

// note remembers what a connector was given. A task's configuration adds to that of its
// connector, and does not say what config.action.reload is.
func (w *Watched) note(connector string, config map[string]string, answers map[location]answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, whole := config["connector.class"]; whole {
		w.quiet[connector] = strings.EqualFold(strings.TrimSpace(config[reloadAction]), "none")
	}
	if w.quiet[connector] {
		w.forget(connector)
		return
	}
	var seen map[reference]digest
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
			if seen == nil {
				seen = map[reference]digest{}
			}
			ref.start, ref.end = 0, 0
			seen[ref] = w.digest(answers[at], ref.key)
		}
	}
	if seen == nil {
		return
	}
	own := w.watches[connector]
	if own == nil {
		own = &watch{seen: map[reference]digest{}}
		w.watches[connector] = own
	}
	maps.Copy(own.seen, seen)
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

// plan has the connector looked at when the shortest of its ttls is over.
func (w *Watched) plan(connector string, own *watch) {
	var after time.Duration
	for ref := range own.seen {
		if ttl := w.providers.ttls[ref.provider]; after == 0 || ttl < after {
			after = ttl
		}
	}
	if own.timer != nil {
		own.timer.Stop()
	}
	own.timer = time.AfterFunc(after, func() { w.look(connector, own) })
}

func (w *Watched) forget(connector string) {
	if own := w.watches[connector]; own != nil {
		own.timer.Stop()
		delete(w.watches, connector)
	}
}

// look compares what the references stand for now.
func (w *Watched) look(connector string, own *watch) {
	w.mu.Lock()
	here, restart := w.here, w.restart
	var refs []reference
	if w.watches[connector] == own {
		refs = slices.Collect(maps.Keys(own.seen))
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

// changed reports whether a reference stands for something else than when it was noted.
func (w *Watched) changed(own *watch, refs []reference) (bool, error) {
	answers, err := w.providers.lookUp(context.Background(), refs)
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ref := range refs {
		if w.digest(answers[location{ref.provider, ref.path}], ref.key) != own.seen[ref] {
			return true, nil
		}
	}
	return false, nil
}
