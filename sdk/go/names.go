package stampede

import "fmt"

const (
	// Adhoc is the run of messages that name none.
	Adhoc = "adhoc"
	// MaxID is the largest id, 2^53 - 1, so that every JSON reader holds it exactly.
	MaxID = 1<<53 - 1
)

// checkRun says why the text is no run id. It allocates nothing where it is one.
func checkRun(run string) error {
	fits := len(run) > 0 && len(run) <= 64
	for at := 0; fits && at < len(run); at++ {
		c := run[at]
		fits = isAlphanumeric(c) || c == '.' || c == '_' || c == '-'
	}
	switch {
	case !fits:
		// A hostile name can be as long as a message; the error need not be.
		return fmt.Errorf("run %.80q is invalid: use 1 to 64 characters of A-Z a-z 0-9 . _ -", run)
	case run == "service" || run == "sweep" || run == "clock":
		return fmt.Errorf("run %q is a reserved name: choose another", run)
	}
	return nil
}

func checkStage(stage string) error {
	if !isName(stage, 32, "_-") || stage == "counts" {
		return fmt.Errorf("stage %.80q is invalid: use 1 to 32 characters of a-z 0-9 _ -, starting with a letter", stage)
	}
	return nil
}

// checkCounter lets no @ through, which divides a counter's name from its writer.
func checkCounter(name string) error {
	if !isName(name, 64, "._-") {
		return fmt.Errorf("counter %.80q is invalid: use 1 to 64 characters of a-z 0-9 . _ -, starting with a letter", name)
	}
	return nil
}

// isName tells whether the text is at most so long, of small letters, digits and the marks given, and starts with a letter.
func isName(text string, most int, marks string) bool {
	if len(text) == 0 || len(text) > most || text[0] < 'a' || text[0] > 'z' {
		return false
	}
	for at := 0; at < len(text); at++ {
		c := text[at]
		isMark := false
		for mark := 0; mark < len(marks); mark++ {
			isMark = isMark || c == marks[mark]
		}
		if !isMark && !(isAlphanumeric(c) && (c < 'A' || c > 'Z')) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
