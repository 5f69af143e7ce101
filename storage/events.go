package storage

// Event is something that a record of the config topic told.
type Event interface {
	// Tell calls the method of events that stands for it.
	Tell(events ConfigEvents)
}

// The events, one for each method of [ConfigEvents].
type (
	ConnectorConfigUpdated struct{ Connector string }
	ConnectorConfigRemoved struct{ Connector string }
	TaskConfigsUpdated     struct{ Connector string }
	TargetStateChanged     struct{ Connector string }
	SessionKeyUpdated      struct{ Key SessionKey }
	RestartRequested       struct{ Request RestartRequest }
	LoggerLevelChanged     struct{ Namespace, Level string }
)

func (e ConnectorConfigUpdated) Tell(events ConfigEvents) { events.ConnectorConfigUpdated(e.Connector) }
func (e ConnectorConfigRemoved) Tell(events ConfigEvents) { events.ConnectorConfigRemoved(e.Connector) }
func (e TaskConfigsUpdated) Tell(events ConfigEvents)     { events.TaskConfigsUpdated(e.Connector) }
func (e TargetStateChanged) Tell(events ConfigEvents)     { events.TargetStateChanged(e.Connector) }
func (e SessionKeyUpdated) Tell(events ConfigEvents)      { events.SessionKeyUpdated(e.Key) }
func (e RestartRequested) Tell(events ConfigEvents)       { events.RestartRequested(e.Request) }
func (e LoggerLevelChanged) Tell(events ConfigEvents) {
	events.LoggerLevelChanged(e.Namespace, e.Level)
}
