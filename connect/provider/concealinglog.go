package provider

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
)

// Logger is l with the references in place in whatever is logged from then on, also by loggers
// made from it. A logger that does this already is returned as it is.
func (c *Concealment) Logger(l *slog.Logger) *slog.Logger {
	if c == nil {
		return l
	}
	if h, ok := l.Handler().(*concealingHandler); ok && h.concealment == c {
		return l
	}
	return slog.New(&concealingHandler{l.Handler(), c})
}

type concealingHandler struct {
	slog.Handler
	concealment *Concealment
}

func (h *concealingHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.concealment.texts.Load() == nil {
		return h.Handler.Handle(ctx, r)
	}
	shown := slog.NewRecord(r.Time, r.Level, h.concealment.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(h.concealment.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

func (h *concealingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &concealingHandler{h.Handler.WithAttrs(h.concealment.attrs(attrs)), h.concealment}
}

func (h *concealingHandler) WithGroup(name string) slog.Handler {
	return &concealingHandler{h.Handler.WithGroup(name), h.concealment}
}

func (c *Concealment) attrs(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = c.attr(a)
	}
	return out
}

func (c *Concealment) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(c.Text(v.String()))
	case slog.KindGroup:
		v = slog.GroupValue(c.attrs(v.Group())...)
	case slog.KindAny:
		v = slog.AnyValue(c.anything(v.Any()))
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// anything keeps the kinds of values that the handlers of logs know, lest these no more see
// which keys of a configuration are secret.
func (c *Concealment) anything(value any) any {
	switch x := value.(type) {
	case nil:
		return nil
	case error:
		return c.Error(x)
	case string:
		return c.Text(x)
	case []byte:
		return []byte(c.Text(string(x)))
	case map[string]string:
		out := maps.Clone(x)
		for k, v := range out {
			out[k] = c.Text(v)
		}
		return out
	case map[string]*string:
		out := maps.Clone(x)
		for k, v := range out {
			if v != nil {
				shown := c.Text(*v)
				out[k] = &shown
			}
		}
		return out
	case map[string]any:
		out := maps.Clone(x)
		for k, v := range out {
			out[k] = c.anything(v)
		}
		return out
	}
	text := fmt.Sprintf("%+v", value)
	if shown := c.Text(text); shown != text {
		return shown
	}
	return value
}
