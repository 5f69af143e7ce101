package file

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linesOneByOne are the lines of a text, and what is left, by Java's rules and the slow way. A \r at the
// end of everything is not yet the end of a line.
func linesOneByOne(text string) (lines []string, lengths []int) {
	from := 0
	for i := 0; i < len(text); i++ {
		length := i + 1 - from
		switch {
		case text[i] == '\n':
		case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
			length++
		case text[i] == '\r' && i+1 < len(text):
		default:
			continue
		}
		lines = append(lines, strings.ToValidUTF8(text[from:i], "\uFFFD"))
		lengths = append(lengths, length)
		from += length
		i = from - 1
	}
	return lines, lengths
}

func TestLinesAreTheSameHoweverTheyAreCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []string{"\r", "\n", "\r\n", "a", "bc", "\xff", "ü", "\n\n"}
	for range 20_000 {
		var text string
		var lines []string
		var lengths []int
		var s splitter
		for range random.IntN(6) {
			var chunk string
			for range random.IntN(6) {
				chunk += letters[random.IntN(len(letters))]
			}
			text += chunk
			s.add([]byte(chunk))
			for {
				line, length, ok := s.next()
				if !ok {
					break
				}
				lines, lengths = append(lines, line), append(lengths, length)
			}
			wantLines, wantLengths := linesOneByOne(text)
			// A character that is cut in two comes whole, since lines do.
			if diff := cmp.Diff(wantLines, lines) + cmp.Diff(wantLengths, lengths); diff != "" {
				t.Fatalf("%q: %s", text, diff)
			}
		}
	}
}
