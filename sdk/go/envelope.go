package stampede

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unicode/utf8"
)

// Envelope is the two fields of a message that tracing needs. Everything else in it belongs to the user.
type Envelope struct {
	// ID is from "id", "MsgID", "msgid" or "msg_id", and at most [MaxID].
	ID uint64
	// Run is what the message belongs to: "adhoc" where it names none.
	Run string
}

// ReadEnvelope reads the envelope of a message, a JSON object. The bytes are walked once and stay as they are; encoding/json would
// take the last of two ids without a word, so that a message could be one thing here and another in the next service.
//
// An error says that the message is no envelope, in words fit for the client that posted it: count such a message as "garbage",
// and send it on unstamped.
func ReadEnvelope(body []byte) (Envelope, error) {
	if !utf8.Valid(body) {
		return Envelope{}, errors.New("the body is no JSON object: it is not UTF-8")
	}
	found := fields{}
	s := scanner{text: body}
	if s.enter() {
		for s.nextField() {
			found.read(&s)
		}
	}
	switch {
	case s.err != nil:
		return Envelope{}, fmt.Errorf("the body is no JSON object: %w", s.err)
	case found.twice != "":
		return Envelope{}, fmt.Errorf("the body has more than one %s", found.twice)
	case !found.hasID:
		return Envelope{}, errors.New(`the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)`)
	case found.badID != "":
		return Envelope{}, fmt.Errorf("the id is %s: it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)", found.badID)
	case found.badRun != nil:
		return Envelope{}, found.badRun
	case !found.hasRun:
		found.run = Adhoc
	}
	return Envelope{ID: found.id, Run: found.run}, nil
}

type fields struct {
	id            uint64
	run           string
	hasID, hasRun bool
	// What there is more than one of.
	twice string
	// What the id is instead of one. It does not end the reading, so that broken JSON further on is reported as such.
	badID  string
	badRun error
}

func (f *fields) read(s *scanner) {
	name := s.key
	if s.keyHasEscapes {
		key, ok := resolve(s.key)
		if !ok {
			s.fail("half of a surrogate pair")
			return
		}
		name = []byte(key)
	}
	// A conversion that is only compared makes no string.
	isID := string(name) == "id" || string(name) == "MsgID" || string(name) == "msgid" || string(name) == "msg_id"
	isRun := string(name) == "run"
	value := s.skipValue()
	switch {
	case value == nil:
	case isID:
		if f.hasID && f.twice == "" {
			f.twice = "id"
		}
		f.hasID = true
		f.id, f.badID = readID(value)
	case isRun:
		if f.hasRun && f.twice == "" {
			f.twice = "run"
		}
		f.hasRun = true
		f.run, f.badRun = readRun(s, value)
	}
}

// readID reads an id; where the value is none, it says what it is instead.
func readID(value []byte) (id uint64, bad string) {
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, kindOf(value)
		}
		// Beyond the largest id it does not matter by how much, as long as it does not overflow.
		if id <= MaxID {
			id = id*10 + uint64(c-'0')
		}
	}
	if id > MaxID {
		return 0, fmt.Sprintf("%.40s", value)
	}
	return id, ""
}

func kindOf(value []byte) string {
	switch value[0] {
	case '"':
		return "a string"
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 't', 'f', 'n':
		return string(value)
	}
	return fmt.Sprintf("the number %.40s", value)
}

// lastRun is the run of the message before: messages come in long rows of the same run, which then need no new string each.
var lastRun atomic.Pointer[string]

func readRun(s *scanner, value []byte) (string, error) {
	if value[0] != '"' {
		s.fail("the run is no string")
		return "", nil
	}
	inner := value[1 : len(value)-1]
	if last := lastRun.Load(); last != nil && *last == string(inner) {
		return *last, nil
	}
	// What no run id may have in it is told as it stands, a half of a surrogate pair included.
	run := string(inner)
	if text, ok := resolve(inner); ok {
		run = text
	}
	if err := checkRun(run); err != nil {
		return "", err
	}
	lastRun.Store(&run)
	return run, nil
}
