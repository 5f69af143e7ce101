package simpledate

// Java's calendar is Julian before this day, 15 October 1582, counted from 1970.
const cutover = -141427

const (
	daysPerEra      = 146097 // 400 Gregorian years
	daysToEpoch     = 719468 // from 1 March of the year 0 to 1970
	daysOfFourYears = 1461
)

// date is a day of the calendar; years before 1 are 0, -1, and so on.
type date struct {
	year       int64
	month, day int // month from 0, day from 1
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// dayNumber counts days since 1970. Months and days beyond their range roll over.
func dayNumber(year int64, month, day int) int64 {
	year += floorDiv(int64(month), 12)
	month -= int(12 * floorDiv(int64(month), 12))
	n := gregorianDay(year, month) + int64(day) - 1
	if n >= cutover {
		return n
	}
	return julianDay(year, month) + int64(day) - 1
}

// marchBased moves the year's begin to March, so that leap days are last.
func marchBased(year int64, month int) (y int64, dayOfYear int64) {
	m := month - 2
	if m < 0 {
		m += 12
		year--
	}
	return year, int64((153*m + 2) / 5)
}

// gregorianDay and julianDay are the numbers of a month's first day.
func gregorianDay(year int64, month int) int64 {
	y, day := marchBased(year, month)
	era := floorDiv(y, 400)
	inEra := y - era*400
	return era*daysPerEra + inEra*365 + inEra/4 - inEra/100 + day - daysToEpoch
}

func julianDay(year int64, month int) int64 {
	y, day := marchBased(year, month)
	return floorDiv(y*daysOfFourYears, 4) + day - daysToEpoch - 2
}

// dateOf is the inverse of dayNumber.
func dateOf(days int64) date {
	n := days + daysToEpoch
	var year, dayOfYear int64
	if days >= cutover {
		era := floorDiv(n, daysPerEra)
		inEra := n - era*daysPerEra
		y := (inEra - inEra/1460 + inEra/36524 - inEra/146096) / 365
		dayOfYear = inEra - (365*y + y/4 - y/100)
		year = y + era*400
	} else {
		n += 2
		cycle := floorDiv(n, daysOfFourYears)
		inCycle := n - cycle*daysOfFourYears
		y := (inCycle - inCycle/(daysOfFourYears-1)) / 365
		dayOfYear = inCycle - 365*y
		year = y + cycle*4
	}
	m := (5*dayOfYear + 2) / 153
	d := date{year: year, month: int(m) + 2, day: int(dayOfYear-(153*m+2)/5) + 1}
	if d.month >= 12 {
		d.month -= 12
		d.year++
	}
	return d
}

// weekday is 0 for Sunday; 1 January 1970 was a Thursday.
func weekday(days int64) int { return int(days + 4 - 7*floorDiv(days+4, 7)) }

// weekOfYear returns the week and the year it belongs to.
func weekOfYear(days int64) (week int, year int64) {
	d := dateOf(days)
	next := dayNumber(d.year+1, 0, 1)
	if days >= next-int64(weekday(next)) {
		return 1, d.year + 1
	}
	first := dayNumber(d.year, 0, 1)
	return int(days-first+int64(weekday(first)))/7 + 1, d.year
}
