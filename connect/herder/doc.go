// Package herder is the vocabulary between those who ask for work (REST, the
// dedicated mode) and those who run it: the Herder seam, its errors, and the
// validation of connector configurations that every herder uses. The herder itself is
// in the package distributed; a standalone worker's is that of a group of one.
package herder
