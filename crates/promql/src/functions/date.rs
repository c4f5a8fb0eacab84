//! The UTC calendar over seconds since the Unix epoch.

use crate::plan::DateFunction;

const SECONDS_A_DAY: i64 = 86_400;

/// Values beyond this many seconds (30 million years) are no dates.
const SECONDS_MAX: f64 = 1e15;

/// The asked-for part of the date at `seconds`; NaN where that is no number or far from any date.
pub(super) fn part(function: DateFunction, seconds: f64) -> f64 {
    if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
        return f64::NAN;
    }
    let seconds = seconds as i64;
    let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
    let date = Date::of(days);
    let part = match function {
        DateFunction::Minute => second / 60 % 60,
        DateFunction::Hour => second / 3600,
        // 1 January 1970 was a Thursday; Sunday is 0.
        DateFunction::DayOfWeek => (days + 4).rem_euclid(7),
        DateFunction::DayOfMonth => date.day,
        DateFunction::DayOfYear => days - day_number(date.year, 1, 1) + 1,
        DateFunction::DaysInMonth => date.days_in_month(),
        DateFunction::Month => date.month,
        DateFunction::Year => date.year,
    };
    part as f64
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The date of a day counted from 1 January 1970. Years are counted from March, so that a leap day ends one.
    fn of(days: i64) -> Self {
        let days = days + 719_468; // since 1 March of the year 0
        let era = days.div_euclid(146_097); // 400 years
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Date { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
    }

    fn days_in_month(&self) -> i64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        day_number(year, month, 1) - day_number(self.year, self.month, 1)
    }
}

/// The day counted from 1 January 1970: the other way round.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use DateFunction::*;

    #[test]
    fn dates_have_their_parts() {
        for (seconds, want) in [
            (0.0, [0, 0, 4, 1, 1, 31, 1, 1970]),
            (1136239445.0, [4, 22, 1, 2, 2, 31, 1, 2006]),
            (1456790399.0, [59, 23, 1, 29, 60, 29, 2, 2016]),
            (1456790400.0, [0, 0, 2, 1, 61, 31, 3, 2016]),
            (1483191420.0, [37, 13, 6, 31, 366, 31, 12, 2016]),
            (-1.0, [59, 23, 3, 31, 365, 31, 12, 1969]),
            (-62135596800.0, [0, 0, 1, 1, 1, 31, 1, 1]),
        ] {
            let parts = [Minute, Hour, DayOfWeek, DayOfMonth, DayOfYear, DaysInMonth, Month, Year];
            assert_eq!(parts.map(|function| part(function, seconds)), want.map(f64::from), "{seconds}");
        }
        assert!(part(Year, f64::NAN).is_nan() && part(Year, f64::INFINITY).is_nan());
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        for day in -100_000..100_000 {
            let date = Date::of(day);
            assert_eq!(day_number(date.year, date.month, date.day), day);
        }
    }
}
