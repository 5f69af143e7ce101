package jregex

// class reads a character class behind its opening bracket. With consume it reads the closing
// bracket, too; without, it is the unbracketed right side of && and stops before that bracket.
func (p *parser) class(consume bool) runeSet {
	var set runeSet
	empty := true
	negated := false
	add := func(more runeSet) { set, empty = set.union(more), false }
	if consume && p.at('^') {
		p.pos++
		negated = true
	}
	for {
		t := p.peek()
		switch {
		case t.r == end:
			p.fail("unclosed character class")
			return nil
		case t.quoted:
			add(p.classRange())
		case t.r == '[':
			p.pos++
			add(p.class(true))
		case t.r == '&' && p.raw(1) == token{r: '&'}:
			p.pos += 2
			right, ok := p.intersected()
			if !ok {
				p.fail("&& in a character class needs characters on its right side")
				return nil
			}
			if !empty {
				right = set.intersect(right)
			}
			set, empty = right, false
		case t.r == ']' && !empty:
			if consume {
				p.pos++
			}
			if negated {
				return set.negate()
			}
			return set
		default:
			add(p.classRange())
		}
	}
}

// intersected reads the right side of &&, up to the next && or the closing bracket.
func (p *parser) intersected() (runeSet, bool) {
	var right runeSet
	found := false
	for !p.at(']') && !p.at('&') && p.peek().r != end {
		if p.accept('[') {
			right = right.union(p.class(true))
		} else {
			right = right.union(p.class(false))
		}
		found = true
	}
	return right, found
}

// classRange reads a character, a range of them, or an escape that stands for several.
func (p *parser) classRange() runeSet {
	low, set := p.classItem()
	if set != nil || p.err != nil {
		return set
	}
	if !p.at('-') {
		return p.span(low, low)
	}
	if following := p.raw(1); !following.quoted && (following.r == '[' || following.r == ']') || following.r == end {
		return p.span(low, low)
	}
	p.pos++
	high, several := p.classItem()
	switch {
	case several != nil:
		p.fail("a range in a character class must end in one character")
	case p.err == nil && high < low:
		p.fail("illegal character range: %q is behind %q", low, high)
	}
	return p.span(low, high)
}

// classItem reads one character, or the set that an escape stands for.
func (p *parser) classItem() (rune, runeSet) {
	t := p.next()
	if t.quoted || t.r != '\\' {
		return t.r, nil
	}
	if set, ok := p.escapedSet(); ok {
		return 0, set
	}
	if r := p.raw(0).r; r >= '1' && r <= '9' {
		p.fail(`illegal or unsupported escape sequence \%c in a character class`, r)
		return 0, nil
	}
	return p.escapedRune(), nil
}

func (p *parser) span(low, high rune) runeSet {
	set := newSet(runeRange{low, high})
	if p.flags.fold {
		return set.foldASCII()
	}
	return set
}
