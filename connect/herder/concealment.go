package herder

import (
	"errors"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/provider"
)

// concealment puts references to configuration providers back where an answer would show
// what they stand for: that may be a secret under any key, and only passwords are hidden
// by their type.
type concealment struct {
	written map[string]string // by key: the value with its references
	texts   *provider.Concealment
}

func newConcealment(written, resolved map[string]*string) concealment {
	c := concealment{written: map[string]string{}, texts: &provider.Concealment{}}
	values := map[string]string{}
	for key, value := range resolved {
		before := deref(written[key])
		if value == nil || *value == before {
			continue
		}
		c.written[key], values[key] = before, *value
	}
	c.texts.Add(c.written, values)
	return c
}

func (c concealment) infos(infos api.ConfigInfos) api.ConfigInfos {
	infos.Name = c.texts.Text(infos.Name)
	for _, config := range infos.Configs {
		value := config.Value
		if written, referred := c.written[value.Name]; referred && value.Value != nil && *value.Value != connect.HiddenPassword {
			value.Value = &written
		}
		for i, message := range value.Errors {
			value.Errors[i] = c.texts.Text(message)
		}
	}
	return infos
}

func (c concealment) err(err error) error {
	var bad *BadRequestError
	if errors.As(err, &bad) {
		return &BadRequestError{Message: c.texts.Text(bad.Message)}
	}
	return c.texts.Error(err)
}
