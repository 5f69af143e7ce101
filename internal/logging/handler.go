package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// NameKey is the key of the attribute that names a logger.
const NameKey = "logger"

// Options are how logging starts.
type Options struct {
	// Level is that of the root logger.
	Level slog.Level
	// JSON writes an object a line instead of text.
	JSON bool
	// Secret says, of an attribute's key or a configuration's, whether its value must
	// not be written; nil is [IsSecret].
	Secret func(key string) bool
}

// New returns a logger that writes to w, a record a call, and the levels that rule it.
func New(w io.Writer, opts Options) (*slog.Logger, *Levels) {
	if opts.Secret == nil {
		opts.Secret = IsSecret
	}
	levels := newLevels(opts.Level)
	var out slog.Handler
	if opts.JSON {
		out = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: All, ReplaceAttr: replacer(opts.Secret)})
	} else {
		out = &textHandler{out: &output{w: w}, secret: opts.Secret}
	}
	return slog.New(&handler{levels: levels, logger: levels.logger(Root), next: out}), levels
}

// Named returns a logger whose records have that name and its level.
func Named(l *slog.Logger, name string) *slog.Logger { return l.With(slog.String(NameKey, name)) }

// replacer writes Java's level names and hides secrets.
func replacer(secret func(string) bool) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
			return slog.String(slog.LevelKey, LevelName(level))
		}
		if a.Value.Kind() == slog.KindGroup {
			return a // its members come by themselves
		}
		return redact(a, secret)
	}
}

// handler decides by the logger's name what is written.
type handler struct {
	levels *Levels
	logger *logger
	next   slog.Handler
	// grouped: attributes belong to a group, and cannot be the logger's name.
	grouped bool
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return h.logger.enabled(level) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error { return h.next.Handle(ctx, r) }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	if !h.grouped {
		for _, a := range attrs {
			if a.Key == NameKey {
				with.logger = h.levels.logger(a.Value.String())
			}
		}
	}
	with.next = h.next.WithAttrs(attrs)
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.grouped = true
	with.next = h.next.WithGroup(name)
	return &with
}

// textHandler writes lines like
//
//	[2026-01-31 12:00:00,000] INFO [mirror|task-0] Committed offsets records=12 (source)
//
// with the connector and task that a record is about as its context, and the logger's
// name at the end.
type textHandler struct {
	out    *output
	secret func(string) bool
	// prefix is the groups that are open, each with a dot.
	prefix string
	// What attributes have come to so far.
	connector, task, name string
	attrs                 []byte
}

// output is shared by all handlers of one writer.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (h *textHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.add(h.prefix, a)
	}
	return &with
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.prefix += name + "."
	return &with
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	line := *h
	line.attrs = slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		line.add(h.prefix, a)
		return true
	})
	var b bytes.Buffer
	if !r.Time.IsZero() {
		b.WriteString(r.Time.Format("[2006-01-02 15:04:05,000] "))
	}
	b.WriteString(LevelName(r.Level))
	b.WriteByte(' ')
	switch {
	case line.connector != "" && line.task != "":
		b.WriteString("[" + line.connector + "|task-" + line.task + "] ")
	case line.connector != "":
		b.WriteString("[" + line.connector + "] ")
	}
	b.WriteString(oneLine(r.Message))
	b.Write(line.attrs)
	if line.name != "" {
		b.WriteString(" (" + line.name + ")")
	}
	b.WriteByte('\n')
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(b.Bytes())
	return err
}

// oneLine keeps a message from looking like two records.
func oneLine(message string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(message)
}

func (h *textHandler) add(prefix string, a slog.Attr) {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range a.Value.Group() {
			h.add(prefix, member)
		}
		return
	}
	if prefix == "" {
		switch a.Key {
		case NameKey:
			h.name = oneLine(a.Value.String())
			return
		case "connector":
			h.connector = oneLine(a.Value.String())
			return
		case "task":
			h.task = oneLine(a.Value.String())
			return
		}
	}
	a = redact(a, h.secret)
	h.attrs = append(h.attrs, ' ')
	h.attrs = append(h.attrs, prefix+a.Key+"="+quote(valueText(a.Value))...)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return x.Error()
		case fmt.Stringer:
			return x.String()
		case []byte:
			return string(x)
		}
		return fmt.Sprintf("%+v", v.Any())
	}
	return v.String()
}

// quote puts quotes around what could be misread.
func quote(s string) string {
	plain := s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	if plain {
		return s
	}
	return strconv.Quote(s)
}
