//! What there is to say of lines: those that were refused, and those that were taken and hardly mean what their sender
//! thinks. Only such lines come here.

use super::{Stage, Terms};
use sealine_lineproto::{Lines, Precision};
use sealine_telemetry::notices::{Notice, NoticeKind, excerpt};
use sealine_telemetry::{Overwritten, Suspect};

/// The year 1970, in nanoseconds from either side of its start.
const YEAR_NS: i64 = 365 * 24 * 60 * 60 * 1_000_000_000;

/// Where the unit of times comes from: by that is known whether it was meant, and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The sender named it.
    Named,
    /// The sender did not; it can, with the parameter `precision`.
    Parameter,
    /// The setting of a listener.
    Setting(&'static str),
}

/// What is odd about a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Odd {
    /// It has strings alone, and none is kept.
    StringsAlone,
    /// Its time lies near 1970, in the unit that it was read in.
    Early(i64),
    /// Two of its fields are one series.
    FieldTwice,
}

/// The unit that a time about 1970 was most likely meant in, where that is not the one that it was read in.
pub(super) fn likely_unit(raw: i64, time: i64, read_as: Precision) -> Option<(Precision, Suspect)> {
    if !(-YEAR_NS..YEAR_NS).contains(&time) {
        return None;
    }
    let (unit, suspect) = match raw.unsigned_abs() {
        ..100_000_000_000 => (Precision::Seconds, Suspect::Seconds), // up to the year 5138
        100_000_000_000..100_000_000_000_000 => (Precision::Milliseconds, Suspect::Milliseconds),
        _ => (Precision::Microseconds, Suspect::Microseconds),
    };
    (unit > read_as).then_some((unit, suspect))
}

impl Terms {
    /// Times before this may have been meant in another unit.
    pub(super) fn early(&self) -> i64 {
        if self.unit == Unit::Named { i64::MIN } else { YEAR_NS }
    }

    /// What to do where `unit` was meant.
    pub(super) fn way_to(&self, unit: Precision) -> String {
        match self.unit {
            Unit::Setting(setting) => format!("set {setting} = \"{unit}\""),
            Unit::Named | Unit::Parameter => format!("send the parameter precision={unit}"),
        }
    }
}

impl Stage {
    /// Notes something about the line `raw`. Of several with the same reason, the first is logged.
    pub(super) fn note(
        &mut self,
        kind: NoticeKind,
        reason: &'static str,
        raw: &[u8],
        message: impl FnOnce() -> String,
    ) {
        match self.report.notices.iter_mut().find(|notice| notice.reason == reason) {
            Some(notice) => notice.count += 1,
            None => {
                let notice = Notice { kind, reason, count: 1, first: excerpt(raw), message: message() };
                self.report.notices.push(notice);
            }
        }
    }

    /// What was noted since this was last asked: for who has lines of several senders in one batch.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.report.notices)
    }

    /// Counts what was odd about the last line, which is `raw`, and notes it.
    #[cold]
    pub(super) fn remark(&mut self, raw: &[u8]) {
        let terms = self.terms;
        for odd in std::mem::take(&mut self.odd) {
            match odd {
                Odd::StringsAlone => {
                    self.report.suspect(Suspect::StringsAlone);
                    let message = || strings_alone(raw, &terms);
                    self.note(NoticeKind::Hint, Suspect::StringsAlone.as_str(), raw, message);
                }
                Odd::Early(time) => {
                    let read_as = terms.precision;
                    let ns = read_as.to_nanoseconds(time).unwrap_or(i64::MAX);
                    let Some((unit, suspect)) = likely_unit(time, ns, read_as) else { continue };
                    self.report.suspect(suspect);
                    self.note(NoticeKind::Warning, suspect.as_str(), raw, || {
                        let way = terms.way_to(unit);
                        format!(
                            "the time {time}, read with precision={read_as}, lies about 1970: where {unit} was meant, {way}"
                        )
                    });
                }
                Odd::FieldTwice => {
                    let reason = Overwritten::Field.as_str();
                    self.note(NoticeKind::Warning, reason, raw, || {
                        "two fields of a line are one series, of which the later value counts".to_string()
                    });
                }
            }
        }
    }
}

fn strings_alone(raw: &[u8], terms: &Terms) -> String {
    let mut lines = Lines::new(raw, &terms.limits);
    let field = lines.next_line().and_then(|line| {
        let line = line.ok()?;
        let (key, name) = (line.key.parse(&terms.limits).ok()?, line.fields.first()?.name.parse(&terms.limits).ok()?);
        Some(format!("{}.{name}", key.measurement))
    });
    let field = field.unwrap_or_else(|| "measurement.field".to_string());
    format!(
        "a line with strings alone stores nothing: to keep one as an _info series, list it in naming.string_fields, \
         such as \"{field}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_told_by_how_large_a_time_is() {
        use Precision::{Hours, Microseconds, Milliseconds, Nanoseconds, Seconds};
        for (raw, read_as, want) in [
            (1_700_000_000, Nanoseconds, Some(Seconds)),
            (1_700_000_000_000, Nanoseconds, Some(Milliseconds)),
            (1_700_000_000_000_000, Nanoseconds, Some(Microseconds)),
            (1_700_000_000_000_000_000, Nanoseconds, None),
            (1_700_000_000, Microseconds, Some(Seconds)),
            (1_700_000_000_000, Microseconds, Some(Milliseconds)),
            (1_700_000_000, Milliseconds, Some(Seconds)),
            (1_700_000_000_000, Milliseconds, None),
            (12, Seconds, None),
            (12, Hours, None),
            (0, Nanoseconds, Some(Seconds)),
            (-1_000_000_000, Nanoseconds, Some(Seconds)),
            (-600_000_000_000_000_000, Nanoseconds, None),
        ] {
            let ns = read_as.to_nanoseconds(raw).unwrap();
            assert_eq!(likely_unit(raw, ns, read_as).map(|(unit, _)| unit), want, "{raw}{read_as}");
        }
    }
}
