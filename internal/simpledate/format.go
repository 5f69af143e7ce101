package simpledate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const millisPerDay = 24 * 60 * 60 * 1000

// Format prints a point in time, to the millisecond.
func (f *Format) Format(t time.Time) string {
	millis := t.UnixMilli()
	zone, offset := t.In(f.place()).Zone()
	local := millis + int64(offset)*1000
	days := floorDiv(local, millisPerDay)
	p := printer{days: days, date: dateOf(days), millis: int(local - days*millisPerDay), zone: zone, offset: offset}
	var b strings.Builder
	for i := range f.items {
		if it := &f.items[i]; it.letter == 0 {
			b.WriteString(it.text)
		} else {
			b.WriteString(p.field(it.letter, it.count))
		}
	}
	return b.String()
}

// printer holds one point in time, taken apart.
type printer struct {
	days   int64
	date   date
	millis int // of the day
	zone   string
	offset int // seconds east of Greenwich
}

func (p *printer) field(letter byte, count int) string {
	hour := p.millis / 3600000
	switch letter {
	case 'G':
		return eras[btoi(p.date.year > 0)]
	case 'y':
		return year(yearOfEra(p.date.year), count)
	case 'Y':
		_, y := weekOfYear(p.days)
		return year(y, count)
	case 'M', 'L':
		return name(months, p.date.month, count, p.date.month+1)
	case 'w':
		week, _ := weekOfYear(p.days)
		return pad(int64(week), count)
	case 'W':
		first := dayNumber(p.date.year, p.date.month, 1)
		return pad((p.days-first+int64(weekday(first)))/7+1, count)
	case 'D':
		return pad(p.days-dayNumber(p.date.year, 0, 1)+1, count)
	case 'd':
		return pad(int64(p.date.day), count)
	case 'F':
		return pad(int64(p.date.day-1)/7+1, count)
	case 'E':
		return name(weekdays, weekday(p.days), max(count, 3), 0)
	case 'u':
		return pad(int64(weekday(p.days)+6)%7+1, count)
	case 'a':
		return halves[hour/12]
	case 'H':
		return pad(int64(hour), count)
	case 'k':
		return pad(int64(hour+23)%24+1, count)
	case 'K':
		return pad(int64(hour%12), count)
	case 'h':
		return pad(int64(hour+11)%12+1, count)
	case 'm':
		return pad(int64(p.millis/60000%60), count)
	case 's':
		return pad(int64(p.millis/1000%60), count)
	case 'S':
		return pad(int64(p.millis%1000), count)
	}
	return p.zoneField(letter, count)
}

func (p *printer) zoneField(letter byte, count int) string {
	sign, minutes := '+', p.offset/60
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	switch {
	case letter == 'z' && count >= 4 && p.zone == "UTC":
		return "Coordinated Universal Time"
	case letter == 'z':
		return p.zone
	case letter == 'Z' || count == 2:
		if letter == 'X' && p.offset == 0 {
			return "Z"
		}
		return fmt.Sprintf("%c%02d%02d", sign, minutes/60, minutes%60)
	case p.offset == 0:
		return "Z"
	case count == 1:
		return fmt.Sprintf("%c%02d", sign, minutes/60)
	}
	return fmt.Sprintf("%c%02d:%02d", sign, minutes/60, minutes%60)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func yearOfEra(year int64) int64 {
	if year <= 0 {
		return 1 - year
	}
	return year
}

func year(y int64, count int) string {
	if count == 2 {
		return pad(y%100, 2)
	}
	return pad(y, count)
}

func name(names []string, i, count, number int) string {
	switch {
	case count >= 4:
		return names[i]
	case count == 3:
		return names[i][:3]
	}
	return pad(int64(number), count)
}

func pad(n int64, width int) string {
	if n < 0 {
		return "-" + pad(-n, width)
	}
	text := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, width-len(text))) + text
}
