// Package registry is what the converters with a Schema Registry have in common: their
// settings, under the names of Confluent's, the client with its caches, the names of
// subjects, and the five bytes before each value: a zero and the schema's id.
package registry
