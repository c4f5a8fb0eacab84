//! The functions of PromQL: over windows, over single values, over labels, over histograms.

mod absent;
mod counter;
mod date;
mod extreme;
mod histogram;
mod info;

mod math;
mod moments;
mod order;
mod over_range;
mod relabel;
mod sliding;
mod sort;
mod trend;

pub(super) use absent::{absent, absent_over_time};
pub(super) use histogram::Histograms;
pub(super) use info::info;

pub(super) use math::{Mapped, greatest, least};
pub(super) use order::quantile;
pub(super) use over_range::OverRange;
pub(super) use relabel::relabel;
pub(super) use sort::{by_value, sort};

use super::eval::Window;
use super::eval::Windows;
use super::grid::ABSENT;

/// Fills a column with `value` of each window that has samples.
fn each_window(times: &[i64], windows: &Windows, column: &mut [f64], mut value: impl FnMut(usize, Window) -> f64) {
    for (step, (window, slot)) in windows.over(times).zip(column.iter_mut()).enumerate() {
        *slot = if window.is_empty() { ABSENT } else { value(step, window) };
    }
}
