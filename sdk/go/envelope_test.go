package stampede

import (
	"encoding/json"
	"strings"
	"testing"
)

func check(t *testing.T, body string, id uint64, run string) {
	t.Helper()
	envelope, err := ReadEnvelope([]byte(body))
	if err != nil || envelope != (Envelope{id, run}) {
		t.Errorf("%.60q: %v, %v", body, envelope, err)
	}
}

func told(body string) string {
	_, err := ReadEnvelope([]byte(body))
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhereTheIDIsFound(t *testing.T) {
	check(t, `{"data":"news","id":12000}`, 12000, "adhoc")
	check(t, `{"MsgID":1}`, 1, "adhoc")
	check(t, `{"msgid":2,"run":"r.c05"}`, 2, "r.c05")
	check(t, ` {"run":"r","a":{"id":"inner"},"msg_id" : 9007199254740991 } `, MaxID, "r")
	check(t, `{"\u0069d":3,"run":"\u0061"}`, 3, "a")
	check(t, `{"ids":1,"i":2,"id":0,"runs":3,"data":"ä\u00e4\n"}`, 0, "adhoc")
}

func TestWhatTheSenderIsTold(t *testing.T) {
	const size = ": it must be an unsigned integer of at most 9007199254740991 (2^53 - 1)"
	for body, want := range map[string]string{
		`[1]`:                       "the body is no JSON object: an object is expected at byte 0",
		`{"id":1} x`:                "the body is no JSON object: nothing may follow the object at byte 9",
		`{"id":1,"MsgID":1}`:        "the body has more than one id",
		`{"id":1,"run":"","run"`:    "the body is no JSON object: a colon is expected at byte 22",
		`{"run":"a","run":"b"}`:     "the body has more than one run",
		`{"data":1}`:                `the body has no id: give an unsigned integer as "id" (or MsgID, msgid, msg_id)`,
		`{"id":"1"}`:                "the id is a string" + size,
		`{"id":1.0}`:                "the id is the number 1.0" + size,
		`{"id":-0}`:                 "the id is the number -0" + size,
		`{"id":9007199254740992}`:   "the id is 9007199254740992" + size,
		`{"id":1,"run":"a b"}`:      `run "a b" is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -`,
		`{"id":1,"run":"sweep"}`:    `run "sweep" is a reserved name: choose another`,
		"{\"id\":1,\"a\":\"\xff\"}": "the body is no JSON object: it is not UTF-8",
	} {
		if said := told(body); said != want {
			t.Errorf("%q: %q, and not %q", body, said, want)
		}
	}
}

func TestHalfASurrogatePairIsNoCharacterOfAKey(t *testing.T) {
	if said := told(`{"id":1,"\ud800":2}`); !strings.Contains(said, "half of a surrogate pair") {
		t.Error(said)
	}
	check(t, `{"id":1,"\ud83d\ude00\ufffd�":2}`, 1, "adhoc")
}

func TestDepthDoesNotMatter(t *testing.T) {
	check(t, `{"data":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"id":7}`, 7, "adhoc")
}

// A message that was cut off, or spoiled anywhere, is read without a panic; and what is an envelope is JSON to others, too.
func TestSpoiledMessages(t *testing.T) {
	whole := []byte(`{"run":"r\u0061","a":[true,{"b":-1.5e3,"c":null}],"\u0069d":7,"d":"\n\u00e4ä"}`)
	check(t, string(whole), 7, "ra")
	for length := range whole {
		if _, err := ReadEnvelope(whole[:length]); err == nil {
			t.Errorf("%q is an envelope", whole[:length])
		}
	}
	for at := range whole {
		for c := 0; c < 256; c++ {
			spoiled := append([]byte{}, whole...)
			spoiled[at] = byte(c)
			if _, err := ReadEnvelope(spoiled); err == nil && !json.Valid(spoiled) {
				t.Errorf("%q is an envelope", spoiled)
			}
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"run":"r\u0061","a":[true,{"b":-1.5e3,"c":null}],"\u0069d":7}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := ReadEnvelope(body); err == nil && !json.Valid(body) {
			t.Errorf("%q is an envelope", body)
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	body := []byte(`{"id":42949672960,"run":"20261121-101500-k3f.c10","data":"` + strings.Repeat("x", 64) + `"}`)
	b.ReportAllocs()
	for n := 0; n < b.N; n++ {
		if _, err := ReadEnvelope(body); err != nil {
			b.Fatal(err)
		}
	}
}
