package simpledate_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"tributary/internal/simpledate"
)

// now is when the golden answers were made: it decides the century of "24".
var now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// golden was printed by Java 17; testdata/GoldenDates.java makes it.
func golden(t *testing.T) (g struct{ Format, Parse, Bad [][]any }) {
	t.Helper()
	data, err := os.ReadFile("testdata/java17.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil || len(g.Format) < 100 || len(g.Parse) < 50 {
		t.Fatalf("%d and %d cases, %v", len(g.Format), len(g.Parse), err)
	}
	return g
}

func compile(t *testing.T, pattern string) *simpledate.Format {
	t.Helper()
	f, err := simpledate.Compile(pattern, time.UTC)
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return f
}

func TestTimesAreFormattedAsJavaDoes(t *testing.T) {
	for _, c := range golden(t).Format {
		pattern, millis, want := c[0].(string), int64(c[1].(float64)), c[2].(string)
		if got := compile(t, pattern).Format(time.UnixMilli(millis)); got != want {
			t.Errorf("%s of %d: got %s, want %s", pattern, millis, got, want)
		}
	}
}

func TestTextsAreParsedAsLenientlyAsJavaDoes(t *testing.T) {
	for _, c := range golden(t).Parse {
		pattern, text := c[0].(string), c[1].(string)
		got, err := compile(t, pattern).Parse(text, now)
		want, parses := c[2].(float64)
		switch {
		case parses && (err != nil || got.UnixMilli() != int64(want)):
			t.Errorf("%s of %q: got %d (%s), %v; want %d (%s)", pattern, text, got.UnixMilli(), got, err, int64(want), time.UnixMilli(int64(want)).UTC())
		case !parses && err == nil:
			t.Errorf("%s of %q: got %s, want an error", pattern, text, got)
		}
	}
}

func TestBadPatternsAreRefusedInJavasWords(t *testing.T) {
	for _, c := range golden(t).Bad {
		_, err := simpledate.Compile(c[0].(string), time.UTC)
		if want := c[1].(string); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", c[0], err, want)
		}
	}
}

func TestOtherZonesHaveTheirOffset(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f, err := simpledate.Compile("yyyy-MM-dd HH:mm XXX", berlin)
	if err != nil {
		t.Fatal(err)
	}
	summer := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	if got := f.Format(summer); got != "2024-07-01 14:00 +02:00" {
		t.Error(got)
	}
	plain, _ := simpledate.Compile("yyyy-MM-dd HH:mm", berlin)
	if got, err := plain.Parse("2024-07-01 14:00", now); err != nil || !got.Equal(summer) {
		t.Errorf("got %s, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-01-02T03:04:05.006+01:00")
	f.Add("EEE, d MMM yy hh:mm a z", "Tue, 2 Jan 24 03:04 PM PST")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		format, err := simpledate.Compile(pattern, time.UTC)
		if err != nil || len(pattern) > 100 {
			return
		}
		got, err := format.Parse(text, now)
		if err == nil {
			format.Format(got)
		}
	})
}
