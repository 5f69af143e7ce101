package simpledate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a point in time from the begin of text; the rest is ignored. now decides
// the century of years with two digits.
func (f *Format) Parse(text string, now time.Time) (time.Time, error) {
	p := parser{text: text, century: now.AddDate(-80, 0, 0), year: 1970, day: 1, location: f.place()}
	for i := range f.items {
		it := &f.items[i]
		ok := true
		if it.letter == 0 {
			ok = strings.HasPrefix(p.text[p.at:], it.text)
			p.at += len(it.text)
		} else {
			ok = p.field(it.letter, it.count, i+1 < len(f.items) && f.items[i+1].numeric())
		}
		if !ok {
			return time.Time{}, fmt.Errorf("Unparseable date: %q", text)
		}
	}
	t := p.time()
	if p.ambiguous && t.Before(p.century) {
		p.year += 100
		t = p.time()
	}
	return t, nil
}

// stamped is a field of which others say the same: the last one counts. A stamp of 0
// says that it was not read.
type stamped struct{ value, stamp int }

// parser collects fields.
type parser struct {
	text string
	at   int

	century   time.Time // years of two digits begin here
	ambiguous bool      // the year may be of either end of that century

	bc           bool
	year         int64
	month        int
	day          int
	dayOfYear    int
	byDayOfYear  bool
	hourOfDay    stamped
	hour         stamped // of half a day
	afternoon    stamped
	stamps       int
	minute       int64
	second       int64
	milli        int64
	location     *time.Location
	offset       int // seconds
	offsetIsRead bool
}

func (p *parser) field(letter byte, count int, numberFollows bool) bool {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
	if p.at == len(p.text) {
		return false
	}
	switch letter {
	case 'z', 'Z':
		return p.zone(start)
	case 'X':
		return p.isoZone(count)
	case 'G', 'E', 'a':
		p.at = start // names follow at once
		return p.name(letter)
	case 'M', 'L':
		if count > 2 {
			p.at = start
			return p.name(letter)
		}
	}
	from := p.at
	end := len(p.text)
	if numberFollows {
		if end = start + count; end > len(p.text) {
			return false
		}
	}
	n, ok := p.number(end)
	if ok {
		p.set(letter, count, n, p.text[from:p.at])
	}
	return ok
}

// number reads an integer that ends before end.
func (p *parser) number(end int) (int, bool) {
	i := p.at
	if i < end && p.text[i] == '-' {
		i++
	}
	first := i
	for i < end && p.text[i] >= '0' && p.text[i] <= '9' {
		i++
	}
	if i == first {
		return 0, false
	}
	n, err := strconv.ParseInt(p.text[p.at:i], 10, 64)
	if err != nil { // beyond 64 bits Java goes through a double, which saturates
		n = math.MaxInt32
		if p.text[p.at] == '-' {
			n = math.MinInt32
		}
	}
	p.at = i
	return int(int32(n)), true
}

func (p *parser) set(letter byte, count, n int, text string) {
	switch letter {
	case 'y', 'Y':
		p.year = int64(n)
		if count <= 2 && len(text) == 2 && text[0] != '-' {
			begin := p.century.Year()
			p.ambiguous = n == begin%100
			p.year += int64(begin - begin%100)
			if n < begin%100 {
				p.year += 100
			}
		}
	case 'M', 'L':
		p.month, p.byDayOfYear = n-1, false
	case 'd':
		p.day, p.byDayOfYear = n, false
	case 'D':
		p.dayOfYear, p.byDayOfYear = n, true
	case 'H':
		p.hourOfDay = p.stamp(n)
	case 'k':
		if n == 24 {
			n = 0
		}
		p.hourOfDay = p.stamp(n)
	case 'h':
		if n == 12 {
			n = 0
		}
		p.hour = p.stamp(n)
	case 'K':
		p.hour = p.stamp(n)
	case 'm':
		p.minute = int64(n)
	case 's':
		p.second = int64(n)
	case 'S':
		p.milli = int64(n)
	}
}

func (p *parser) stamp(n int) stamped {
	p.stamps++
	return stamped{n, p.stamps}
}

// hours is the hour of the day. An hour of half a day needs to know which half, unless
// there is no other.
func (p *parser) hours() int64 {
	half := 0
	if p.hour.stamp > 0 && p.afternoon.stamp > 0 {
		half = max(p.hour.stamp, p.afternoon.stamp)
	}
	if p.hourOfDay.stamp > half {
		return int64(p.hourOfDay.value)
	}
	return int64(p.hour.value + 12*p.afternoon.value)
}

// name reads the longest name that fits, in any case, in full or its first three letters.
func (p *parser) name(letter byte) bool {
	names := map[byte][]string{'G': eras, 'E': weekdays, 'a': halves, 'M': months, 'L': months}[letter]
	best, length := -1, 0
	for i, full := range names {
		for _, form := range []string{full, full[:min(3, len(full))]} {
			if len(form) > length && len(p.text)-p.at >= len(form) && strings.EqualFold(p.text[p.at:p.at+len(form)], form) {
				best, length = i, len(form)
			}
		}
	}
	if best < 0 {
		return false
	}
	p.at += length
	switch letter {
	case 'G':
		p.bc = best == 0
	case 'a':
		p.afternoon = p.stamp(best)
	case 'M', 'L':
		p.month, p.byDayOfYear = best, false
	}
	return true
}

func (p *parser) time() time.Time {
	year := p.year
	if p.bc {
		year = 1 - year
	}
	var days int64
	if p.byDayOfYear {
		days = dayNumber(year, 0, 1) + int64(p.dayOfYear) - 1
	} else {
		days = dayNumber(year, p.month, p.day)
	}
	millis := days*millisPerDay + ((p.hours()*60+p.minute)*60+p.second)*1000 + p.milli
	if p.offsetIsRead {
		return time.UnixMilli(millis - int64(p.offset)*1000).UTC()
	}
	if p.location == time.UTC {
		return time.UnixMilli(millis).UTC()
	}
	t := time.UnixMilli(millis).UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), p.location).UTC()
}
