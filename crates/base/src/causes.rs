//! Errors with their causes. An error's own text says what was being done; why it failed is its source's to say.

use std::error::Error;

/// The error, what caused it, what caused that, and so on.
pub fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// What was done, why it failed, what the system said: `cannot read a.toml: permission denied`. Where an error lists what
/// it found, a line each, so does this.
pub fn text(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// [`text`] in one line.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let text = text(error);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Failed {
        what: &'static str,
        source: Option<Box<dyn Error + Send + Sync>>,
    }

    #[test]
    fn every_cause_is_told_once() {
        let alone = Failed { what: "cannot start", source: None };
        assert_eq!((text(&alone), sentence(&alone)), ("cannot start".into(), "cannot start".into()));
        let disk = Failed { what: "cannot open a", source: Some(Box::new(io::Error::other("no such file"))) };
        let error = Failed { what: "cannot start", source: Some(Box::new(disk)) };
        assert_eq!(sentence(&error), "cannot start: cannot open a: no such file");
        assert_eq!(chain(&error).count(), 3);
    }

    #[test]
    fn a_list_keeps_its_lines_in_a_text_and_loses_them_in_a_sentence() {
        let list = Failed { what: "two faults:\n  one\n  two\n", source: None };
        assert_eq!(
            (text(&list), sentence(&list)),
            ("two faults:\n  one\n  two\n".into(), "two faults: one; two".into())
        );
    }
}
