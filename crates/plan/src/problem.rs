//! What is wrong with a plan, and where.

use crate::secrets::Secrets;
use std::fmt;

/// A place in the file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// Characters that are meant.
    pub length: usize,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, and mostly also what to do.
    pub message: String,
    /// What to do, where it is better told at the place itself.
    pub hint: String,
}

/// All faults of a plan, by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub(crate) name: String,
    /// The lines of the file.
    pub(crate) lines: Vec<String>,
    pub(crate) all: Vec<Problem>,
}

/// A longer line is shown in part.
const WIDEST: usize = 120;

/// Faults that are told at a time: who has mended these will see the others.
const MOST: usize = 100;

impl Problems {
    pub(crate) fn new(name: &str, text: &str, mut all: Vec<Problem>, secrets: &Secrets) -> Self {
        // A fault may quote what came from the environment.
        for problem in &mut all {
            problem.message = secrets.mask(&problem.message);
        }
        all.sort();
        all.dedup();
        if all.len() > MOST {
            let place = all[MOST].place;
            let message = format!("and {} more faults, from here on", all.len() - MOST);
            all.truncate(MOST);
            all.push(Problem { place, message, hint: String::new() });
        }
        Self { name: name.to_owned(), lines: text.lines().map(|line| secrets.mask_line(line)).collect(), all }
    }

    /// Each of them.
    pub fn all(&self) -> &[Problem] {
        &self.all
    }

    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { place, message, hint } = problem;
        if place.line == 0 {
            // It is not in the file, but was given beside it.
            return write!(f, "{}: {message}", self.name);
        }
        write!(f, "{}:{}:{}: {message}", self.name, place.line, place.column)?;
        let Some(line) = place.line.checked_sub(1).and_then(|at| self.lines.get(at)) else { return Ok(()) };
        let line: Vec<char> = line.trim_end().trim_start_matches('\u{feff}').chars().collect();
        let column = place.column.saturating_sub(1).min(line.len());
        // The part that is shown begins a little before the place.
        let begin = if line.len() > WIDEST { column.saturating_sub(WIDEST / 3) } else { 0 };
        let shown: String = line[begin..].iter().take(WIDEST).map(|&c| if c.is_control() { ' ' } else { c }).collect();
        let carets = place.length.clamp(1, (begin + WIDEST).min(line.len()).saturating_sub(column).max(1));
        let (line, margin, before) = (place.line, place.line.to_string().len(), column - begin);
        write!(f, "\n {line} | {shown}\n {:margin$} | {:before$}", "", "")?;
        write!(f, "{}{}{hint}", "^".repeat(carets), if hint.is_empty() { "" } else { " " })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.all.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            self.show(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `did you mean …?` with the known word that is most like this one, where one is like it.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    like(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// The known word that is most like this one, where one is like it.
pub(crate) fn like<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.chars().count() / 4 && distance < word.chars().count()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize, length: usize, hint: &str) -> String {
        let place = Place { line, column, length };
        let problem = Problem { place, message: "wrong".to_owned(), hint: hint.to_owned() };
        Problems::new("a.yaml", text, vec![problem], &Secrets::default()).to_string()
    }

    #[test]
    fn the_place_is_marked() {
        insta::assert_snapshot!(shown("a: 1\nb: zwölf\n", 2, 4, 5, "write 12"), @r"
        a.yaml:2:4: wrong
         2 | b: zwölf
           |    ^^^^^ write 12
        ");
        // A place behind the end, and one that no line has.
        insta::assert_snapshot!(shown("a: 1\r\n", 1, 9, 3, ""), @r"
        a.yaml:1:9: wrong
         1 | a: 1
           |     ^
        ");
        assert_eq!(shown("", 1, 1, 1, ""), "a.yaml:1:1: wrong");
        let long = format!("{}wrong{}", "x".repeat(500), "y".repeat(500));
        let told = shown(&long, 1, 501, 5, "");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[1].find("wrong"), lines[2].find('^'), "{told}");
        assert!(lines[1].len() < 130);
    }

    #[test]
    fn no_more_are_told_than_can_be_read() {
        let problem = |line| Problem {
            place: Place { line, column: 1, length: 1 },
            message: "wrong".to_owned(),
            hint: String::new(),
        };
        let problems =
            Problems::new("a.yaml", &"x\n".repeat(300), (1..=250).map(problem).collect(), &Secrets::default());
        assert_eq!(problems.all().len(), 101);
        assert!(problems.to_string().contains("a.yaml:101:1: and 150 more faults, from here on"));
    }

    #[test]
    fn words_are_like_each_other_within_reason() {
        for (word, known) in [
            ("wieght", Some("weight")),
            ("ordr", Some("order")),
            ("x", None),
            ("thinks", Some("think")),
            ("password", None),
        ] {
            assert_eq!(like(word, ["weight", "order", "think", "of"]), known, "{word}");
        }
    }
}
