//! What PromQL calls the columns of a file: computed from their keys when it is first asked, and again where the rules have
//! changed since.

use parking_lot::Mutex;
use sealine_model::postings::{name_passes, name_words};
use sealine_model::{Column, Matcher, Naming};
use std::sync::Arc;

/// The metrics that the columns of a file feed.
pub struct MetricNames {
    /// By column.
    of_columns: Vec<Arc<str>>,
    /// Columns in order of their metrics.
    in_order: Vec<u32>,
}

impl MetricNames {
    fn new<'a>(keys: impl Iterator<Item = &'a str>, naming: &Naming) -> Self {
        let of_columns: Vec<Arc<str>> = keys.map(|key| Column::of(key).metric(naming).into()).collect();
        sealine_base::work::count(of_columns.len());
        let mut in_order: Vec<u32> = (0..of_columns.len() as u32).collect();
        in_order.sort_by(|a, b| of_columns[*a as usize].cmp(&of_columns[*b as usize]));
        MetricNames { of_columns, in_order }
    }

    /// The metric that a column feeds.
    pub fn of(&self, column: u32) -> &Arc<str> {
        &self.of_columns[column as usize]
    }

    /// The columns, in their order, whose metrics pass the matchers on names.
    pub fn columns_passing(&self, matchers: &[Matcher]) -> Vec<usize> {
        let Some(names) = name_words(matchers) else {
            let passes = |column: &usize| name_passes(matchers, &self.of_columns[*column]);
            return (0..self.of_columns.len()).filter(passes).collect();
        };
        let mut found: Vec<usize> = Vec::new();
        for name in names.iter().filter(|name| name_passes(matchers, name)) {
            let metric = |column: &u32| &*self.of_columns[*column as usize];
            let from = self.in_order.partition_point(|column| metric(column) < name);
            let same = self.in_order[from..].iter().take_while(|column| metric(column) == name);
            found.extend(same.map(|column| *column as usize));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The names by the rules that were asked for last.
#[derive(Default)]
pub(super) struct KnownNames(Mutex<Option<(Arc<Naming>, Arc<MetricNames>)>>);

impl KnownNames {
    /// The names by these rules.
    pub fn get<'a>(&self, naming: &Arc<Naming>, keys: impl Iterator<Item = &'a str>) -> Arc<MetricNames> {
        let mut known = self.0.lock();
        match &*known {
            Some((rules, names)) if Arc::ptr_eq(rules, naming) => names.clone(),
            _ => {
                let names = Arc::new(MetricNames::new(keys, naming));
                *known = Some((naming.clone(), names.clone()));
                names
            }
        }
    }
}
