package api

// Departure is what a Tributary worker that stops tells the group's leader: body of the
// internal request POST /internal/departures. Java workers do not have it.
type Departure struct {
	Member string `json:"member"` // its member id in the group
}
