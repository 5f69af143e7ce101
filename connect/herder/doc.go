// Package herder is the vocabulary between those who ask for work (REST, the
// dedicated mode) and those who run it: the Herder seam and its errors. The two
// herders are in the packages distributed and standalone.
package herder
