// Package values is the text form that Connect gives to header values and literals:
// how values are written, what type a text is read as, and how values are converted
// when they must be of one type. It follows org.apache.kafka.connect.data.Values.
//
// Times are written and read in the machine's time zone, although their text ends in Z:
// that is Java's.
package values
