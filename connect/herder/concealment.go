package herder

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"tributary/api"
	"tributary/connect"
)

// concealment puts references to configuration providers back where an answer would show
// what they stand for: that may be a secret under any key, and only passwords are hidden
// by their type.
type concealment struct {
	written map[string]string // by key: the value with its references
	texts   []concealed
}

// concealed is a text that may only be known by the reference that it came from.
type concealed struct{ resolved, written string }

func newConcealment(written, resolved map[string]*string) concealment {
	c := concealment{written: map[string]string{}}
	for key, value := range resolved {
		before := deref(written[key])
		if value == nil || *value == before {
			continue
		}
		c.written[key] = before
		// Errors name a whole value or one item of a list.
		parts := strings.Split(before, ",")
		for _, text := range append(strings.Split(*value, ","), *value) {
			if text = strings.TrimSpace(text); text != "" && !slices.Contains(parts, text) {
				c.texts = append(c.texts, concealed{text, before})
			}
		}
	}
	// Longest first: a text may be part of another.
	slices.SortFunc(c.texts, func(a, b concealed) int {
		return cmp.Or(cmp.Compare(len(b.resolved), len(a.resolved)), strings.Compare(a.resolved, b.resolved), strings.Compare(a.written, b.written))
	})
	return c
}

func (c concealment) text(message string) string {
	if len(c.texts) == 0 {
		return message
	}
	var pairs []string
	for _, t := range c.texts {
		pairs = append(pairs, t.resolved, t.written)
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

func (c concealment) infos(infos api.ConfigInfos) api.ConfigInfos {
	infos.Name = c.text(infos.Name)
	for _, config := range infos.Configs {
		value := config.Value
		if written, referred := c.written[value.Name]; referred && value.Value != nil && *value.Value != connect.HiddenPassword {
			value.Value = &written
		}
		for i, message := range value.Errors {
			value.Errors[i] = c.text(message)
		}
	}
	return infos
}

func (c concealment) err(err error) error {
	var bad *BadRequestError
	if errors.As(err, &bad) {
		return &BadRequestError{Message: c.text(bad.Message)}
	}
	return err
}
