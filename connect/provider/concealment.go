package provider

import (
	"cmp"
	"slices"
	"strings"
)

// Concealment puts references back where a text would show what they stand for: that may be
// a secret under any key. The zero value conceals nothing.
type Concealment struct{ texts []concealed }

// concealed is a text that may only be known by the reference that it came from.
type concealed struct{ resolved, written string }

// Add takes a configuration as it was written and without its references.
func (c *Concealment) Add(written, resolved map[string]string) {
	for key, value := range resolved {
		before := written[key]
		if value == before {
			continue
		}
		// Errors name a whole value or one item of a list.
		parts := strings.Split(before, ",")
		for _, text := range append(strings.Split(value, ","), value) {
			if text = strings.TrimSpace(text); text != "" && !slices.Contains(parts, text) {
				c.texts = append(c.texts, concealed{text, before})
			}
		}
	}
	// Longest first: a text may be part of another.
	slices.SortFunc(c.texts, func(a, b concealed) int {
		return cmp.Or(cmp.Compare(len(b.resolved), len(a.resolved)), strings.Compare(a.resolved, b.resolved), strings.Compare(a.written, b.written))
	})
	c.texts = slices.Compact(c.texts)
}

// Text is a message with the references in place.
func (c *Concealment) Text(message string) string {
	if len(c.texts) == 0 {
		return message
	}
	var pairs []string
	for _, t := range c.texts {
		pairs = append(pairs, t.resolved, t.written)
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// Error is an error whose text is err's with the references in place. What err wraps can
// still be found in it.
func (c *Concealment) Error(err error) error {
	if err == nil {
		return nil
	}
	text := c.Text(err.Error())
	if text == err.Error() {
		return err
	}
	return &concealedError{text, err}
}

type concealedError struct {
	text string
	err  error
}

func (e *concealedError) Error() string { return e.text }

func (e *concealedError) Unwrap() error { return e.err }
