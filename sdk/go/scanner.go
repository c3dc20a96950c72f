package stampede

import (
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks JSON in place: it checks all of it (RFC 8259) and builds nothing. Nesting may be of any depth.
type scanner struct {
	text []byte
	// The next byte to be read.
	at int
	// The newest key, without its quotes.
	key           []byte
	keyHasEscapes bool
	isFirst       bool
	// What ends the arrays and objects around the present value.
	closers []byte
	err     error
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) fail(what string) bool {
	if s.err == nil {
		s.err = fmt.Errorf("%s at byte %d", what, s.at)
	}
	return false
}

// enter goes into the object that the text must be.
func (s *scanner) enter() bool {
	s.isFirst = true
	s.skipSpace()
	return s.take('{', "an object is expected")
}

// nextField goes to the value of the object's next field; false at its end, which must be that of the text, and on an error.
func (s *scanner) nextField() bool {
	s.skipSpace()
	if s.peek() == '}' {
		s.at++
		s.skipSpace()
		if s.at < len(s.text) {
			s.fail("nothing may follow the object")
		}
		return false
	}
	if !s.isFirst && !s.take(',', "a comma or a closing brace is expected") {
		return false
	}
	s.isFirst = false
	return s.readKey()
}

// skipValue passes over a value, whatever it is, and tells its bytes; nil on an error.
func (s *scanner) skipValue() []byte {
	from := s.at
	for {
		isOpen, ok := s.open()
		if !ok {
			return nil
		}
		// Where a value has ended, the arrays and objects around it may end, too.
		for !isOpen {
			if len(s.closers) == 0 {
				return s.text[from:s.at]
			}
			s.skipSpace()
			closer := s.closers[len(s.closers)-1]
			if s.peek() == closer {
				s.closers = s.closers[:len(s.closers)-1]
				s.at++
				continue
			}
			if !s.take(',', "a comma or a closing bracket is expected") {
				return nil
			}
			if closer == '}' && !s.readKey() {
				return nil
			}
			s.skipSpace()
			isOpen = true
		}
	}
}

// open reads the start of a value, or a whole one; isOpen says that it has led into an array or an object that is not empty.
func (s *scanner) open() (isOpen, ok bool) {
	switch first := s.peek(); {
	case first == '"':
		_, ok = s.readString()
		return false, ok
	case first == '{' || first == '[':
		closer := first + 2 // Both pairs are two apart in ASCII.
		s.at++
		s.skipSpace()
		if s.peek() == closer {
			s.at++
			return false, true
		}
		s.closers = append(s.closers, closer)
		return true, closer == ']' || s.readKey()
	case first == '-' || first >= '0' && first <= '9':
		return false, s.readNumber()
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if end := s.at + len(literal); end <= len(s.text) && string(s.text[s.at:end]) == literal {
			s.at = end
			return false, true
		}
	}
	return false, s.fail("a value is expected")
}

func (s *scanner) readKey() bool {
	s.skipSpace()
	if s.peek() != '"' {
		return s.fail("a key is expected")
	}
	from := s.at + 1
	hasEscapes, ok := s.readString()
	if !ok {
		return false
	}
	s.key, s.keyHasEscapes = s.text[from:s.at-1], hasEscapes
	s.skipSpace()
	if !s.take(':', "a colon is expected") {
		return false
	}
	s.skipSpace()
	return true
}

func (s *scanner) readString() (hasEscapes, ok bool) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return hasEscapes, true
		case c < 0x20:
			return false, s.fail("a string has a control character")
		case c == '\\':
			hasEscapes = true
			s.at++
			if !s.readEscape() {
				return false, s.fail("a string has a wrong escape")
			}
		}
	}
	return false, s.fail("a string does not end")
}

// readEscape goes to the last byte of what follows a backslash.
func (s *scanner) readEscape() bool {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for end := s.at + 4; s.at < end; {
			s.at++
			if c := s.peek(); !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
		return true
	}
	return false
}

func (s *scanner) readNumber() bool {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.readDigits() {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if !s.readDigits() {
			return false
		}
	}
	if s.peek() == 'e' || s.peek() == 'E' {
		s.at++
		if s.peek() == '+' || s.peek() == '-' {
			s.at++
		}
		return s.readDigits()
	}
	return true
}

func (s *scanner) readDigits() bool {
	from := s.at
	for s.peek() >= '0' && s.peek() <= '9' {
		s.at++
	}
	return s.at > from || s.fail("a digit is expected")
}

func (s *scanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte, otherwise string) bool {
	if s.peek() != c {
		return s.fail(otherwise)
	}
	s.at++
	return true
}

// resolve gives the text of a string that has escapes; false where half of a pair of surrogates stands alone, which is no
// character.
func resolve(inner []byte) (string, bool) {
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return "", false
	}
	// encoding/json puts U+FFFD in place of such a half; one that was meant is written as itself or as an escape of its own.
	replaced := 0
	for _, r := range text {
		if r == utf8.RuneError {
			replaced++
		}
	}
	return text, replaced == meant(inner)
}

// meant counts the replacement characters that a string has by itself.
func meant(inner []byte) int {
	count := 0
	for at := 0; at < len(inner); {
		if inner[at] != '\\' {
			r, size := utf8.DecodeRune(inner[at:])
			if r == utf8.RuneError {
				count++
			}
			at += size
			continue
		}
		if inner[at+1] == 'u' {
			if unit := hex4(inner[at+2:]); unit == utf8.RuneError && !utf16.IsSurrogate(unit) {
				count++
			}
			at += 6
			continue
		}
		at += 2
	}
	return count
}

func hex4(digits []byte) rune {
	var unit rune
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			unit = unit<<4 | rune(c-'0')
		default:
			unit = unit<<4 | rune(c|0x20-'a'+10)
		}
	}
	return unit
}
