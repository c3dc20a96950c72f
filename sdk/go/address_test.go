package stampede

import (
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for text, want := range map[string]address{
		"redis://h":             {shown: "redis://h:6379", network: "tcp", at: "h:6379"},
		"redis://:p%40ss@h:1/2": {shown: "redis://h:1/2", network: "tcp", at: "h:1", password: "p@ss", database: 2},
		"redis://u:p@[::1]:1":   {shown: "redis://[::1]:1", network: "tcp", at: "[::1]:1", username: "u", password: "p"},
		"redis+unix:///a/b.sock?db=3&user=u&pass=p": {
			shown: "redis+unix:///a/b.sock", network: "unix", at: "/a/b.sock", username: "u", password: "p", database: 3,
		},
	} {
		if found, err := parseAddress(text, ""); err != nil || *found != want {
			t.Errorf("%s: %v, %v", text, found, err)
		}
	}
	if secured, err := parseAddress("rediss://h", ""); err != nil || secured.tls == nil {
		t.Error(err)
	}
}

func TestAWrongAddressIsToldWithoutItsSecrets(t *testing.T) {
	for _, text := range []string{
		"redis://u:secret@h:port", "http://u:secret@h", "redis://u:secret@h/x", "secret", "redis://u:%secret@h", "redis+unix://",
	} {
		if _, err := parseAddress(text, ""); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parseAddress("redis://h", "/no/file"); err == nil || !strings.Contains(err.Error(), "for rediss://") {
		t.Error(err)
	}
}
