package distributed

import "tributary/connect/herder"

var _ herder.StageReporter = (*Herder)(nil)

// Stage implements herder.StageReporter.
func (h *Herder) Stage() string { return h.stages.String() }
