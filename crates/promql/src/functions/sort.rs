//! Sorting: by value or by labels. It shows in the answer of an instant query only.

use crate::eval::Held;
use crate::plan::SortOrder;
use sealine_model::Labels;
use std::cmp::Ordering;

/// Puts the series of a one-step vector in order. NaN comes last whichever way values are sorted.
pub(crate) fn sort(order: &SortOrder, held: &mut Held) {
    match order {
        SortOrder::Value { descending } => {
            held.series.sort_by(|(_, a), (_, b)| by_value(*descending, a.at(0), b.at(0)))
        }
        SortOrder::Labels { names, descending } => held.series.sort_by(|(a, _), (b, _)| {
            let order = by_labels(names, &a.labels, &b.labels);
            if *descending { order.reverse() } else { order }
        }),
    }
}

/// Orders values with NaN at the end.
pub(crate) fn by_value(descending: bool, a: f64, b: f64) -> Ordering {
    let (first, second) = if descending { (b, a) } else { (a, b) };
    first.partial_cmp(&second).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Orders by the named labels, then by all of them.
fn by_labels(names: &[String], a: &Labels, b: &Labels) -> Ordering {
    let value = |labels: &Labels, name: &String| labels.get(name).unwrap_or_default().to_string();
    let named = names.iter().map(|name| natural(&value(a, name), &value(b, name)));
    named.chain(std::iter::once_with(|| a.cmp(b))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Orders texts as people do: runs of digits by the number they are.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (left, right) = (run(a), run(b));
        let order = match (left.first().is_some_and(u8::is_ascii_digit), right.first().is_some_and(u8::is_ascii_digit))
        {
            (true, true) => {
                let (left, right) = (significant(left), significant(right));
                left.len().cmp(&right.len()).then_with(|| left.cmp(right))
            }
            _ => left.cmp(right),
        };
        if order.is_ne() || left.is_empty() {
            return order;
        }
        (a, b) = (&a[left.len()..], &b[right.len()..]);
    }
}

/// The leading run of digits, or of anything else.
fn run(text: &[u8]) -> &[u8] {
    let digit = text.first().is_some_and(u8::is_ascii_digit);
    let length = text.iter().take_while(|byte| byte.is_ascii_digit() == digit).count();
    &text[..length]
}

/// Digits without leading zeros.
fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_sort_as_numbers() {
        let mut texts = ["4m1000", "4m600", "10", "4m5", "9", "", "a", "04m5", "1.11.3", "1.2.3", "1.111.3"];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["", "1.2.3", "1.11.3", "1.111.3", "4m5", "04m5", "4m600", "4m1000", "9", "10", "a"]);
    }

    #[test]
    fn values_sort_with_nan_last() {
        for (descending, want) in [(false, "[-1.0, 0.0, 2.0, NaN]"), (true, "[2.0, 0.0, -1.0, NaN]")] {
            let mut values = [0.0, f64::NAN, 2.0, -1.0];
            values.sort_by(|a, b| by_value(descending, *a, *b));
            assert_eq!(format!("{values:?}"), want);
        }
    }
}
