// Package javajson reads and writes JSON exactly as Kafka Connect's JsonConverter
// does without schemas: the same bytes out, the same lenience in. The bytes matter
// because Java looks source offsets up by the serialised key.
package javajson
