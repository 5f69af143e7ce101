// Package oracle compares transformations, predicates and converters with Kafka's own.
// Cases are data: files named *.cases.json beside the code they are for. make.sh runs them
// through the Java classes and writes their answers to *.golden.json; Run does the same
// with Tributary's and compares.
//
// A file is a list of cases, each with a name of its own and one of
//
//	chain       transformations with their config, predicate and negate, and the records to send through
//	converter   a converter with its config, values to write and bytes to read
//	definition  a class whose configuration keys are listed
//
// A value in a case is null; {"schema":…,"payload":…} as JsonConverter writes it;
// {"json":"text"}, as JsonConverter reads it without schemas; or {"plain":…}, where strings,
// booleans, null and lists stand for themselves and {"int8":1}, {"float32":"1.5"},
// {"bytes":"latin-1"}, {"date":millis}, {"decimal":"1.50"}, {"map":[[key,value],…]} and so on
// for the rest. Answers have each value twice: in a notation that shows its type, and in
// JSON with its schema.
package oracle
