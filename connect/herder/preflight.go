package herder

import (
	"fmt"
	"strings"

	"tributary/connect"
)

// checkSource holds what a source connector's configuration asks of transactions against
// what the worker and the connector can do (KIP-618). A worker without a group has no
// exactly-once delivery to ask for.
func (c *check) checkSource() {
	if c.validator.GroupID == "" {
		return
	}
	if support := c.index["exactly.once.support"]; asksFor(support, "required") {
		if !c.validator.ExactlyOnce {
			support.fail("This worker does not have exactly-once source support enabled.")
		}
		support.fail(c.guarded(c.exactlyOnceRefusal)...)
	}
	if boundary := c.index["transaction.boundary"]; asksFor(boundary, "connector") {
		boundary.fail(c.guarded(c.boundaryRefusal)...)
	}
}

// asksFor reports whether a key's value, if it is a valid one, is wanted, in any case.
func asksFor(i *item, wanted string) bool {
	text, _ := i.value.(string)
	return len(i.errors) == 0 && strings.EqualFold(text, wanted)
}

// exactlyOnceRefusal is what speaks against the connector's delivering exactly once, ""
// if nothing does.
func (c *check) exactlyOnceRefusal() string {
	answer := connect.ExactlyOnceUnknown
	if s, ok := c.connector.(connect.ExactlyOnceSupporter); ok {
		answer = s.ExactlyOnceSupport(plainConfig(c.config))
	}
	switch answer {
	case connect.ExactlyOnceSupported:
		return ""
	case connect.ExactlyOnceUnsupported:
		return "The connector does not support exactly-once semantics with the provided configuration."
	}
	return `The connector does not say whether it supports exactly-once delivery. If its documentation says so, set exactly.once.support to "requested", which leaves this check out.`
}

// boundaryRefusal is likewise for transactions that the connector's tasks define.
func (c *check) boundaryRefusal() string {
	if d, ok := c.connector.(connect.TransactionDefiner); ok && d.CanDefineTransactionBoundaries(plainConfig(c.config)) {
		return ""
	}
	return "The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition."
}

// guarded asks the connector; that it panics is an answer, too.
func (c *check) guarded(refusal func() string) (refusals []string) {
	defer func() {
		if cause := recover(); cause != nil {
			refusals = []string{fmt.Sprintf("An unexpected error occurred during validation: %v", cause)}
		}
	}()
	if r := refusal(); r != "" {
		return []string{r}
	}
	return nil
}
