//! Decides what the findings about a segment mean: what of it is lost, and what is done to it.

use super::Damage;
use super::repair::Repair;
use super::scan::{Findings, Segment};
use crate::wal::segment::SEGMENT_HEADER_BYTES;

/// What is reported of a segment and done to it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub repairs: Vec<Repair>,
    /// Bytes that are cut off as a torn tail.
    pub torn_bytes: u64,
    /// Sound records among them.
    pub torn_records: u64,
    /// Stretches that are lost.
    pub damages: Vec<Damage>,
}

/// Decides what is done to a segment.
pub fn plan(segment: &Segment, found: Findings) -> Plan {
    let Segment { path, bytes, last, .. } = segment;
    let mut plan = Plan { damages: found.damages, ..Plan::default() };
    if *last && !plan.damages.is_empty() && *bytes <= SEGMENT_HEADER_BYTES as u64 {
        // The daemon died while it made this segment: nothing was in it.
        return Plan { repairs: vec![Repair::Remove], ..Plan::default() };
    }
    if *last && let Some(from) = found.unsure_from {
        let end = found.torn.map_or(*bytes, |torn| torn.offset);
        plan.repairs.push(Repair::WriteAgain { from, end });
    }
    if let Some(torn) = found.torn {
        if torn.records > 0 {
            plan.repairs.push(Repair::SetAside);
        }
        if *last {
            plan.repairs.push(Repair::Cut(torn.offset));
            (plan.torn_bytes, plan.torn_records) = (*bytes - torn.offset, torn.records);
        } else {
            // Later segments are only begun once this one is synced, so its tail cannot be torn.
            plan.damages.push(Damage { path: path.clone(), offset: torn.offset, bytes: *bytes - torn.offset });
        }
    }
    if !plan.damages.is_empty() {
        plan.repairs.push(Repair::SetAside);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::super::scan::Torn;
    use super::*;
    use Repair::{Cut, Remove, SetAside, WriteAgain};

    #[test]
    fn what_is_found_decides_what_is_done() {
        let rot = |offset, bytes| Damage { path: "log".into(), offset, bytes };
        let torn = |offset, records| Some(Torn { offset, records });
        for (name, bytes, last, damages, torn, unsure_from, repairs, lost, cut) in [
            ("sound and synced", 900, true, vec![], None, None, vec![], vec![], (0, 0)),
            ("sound", 900, true, vec![], None, Some(300), vec![WriteAgain { from: 300, end: 900 }], vec![], (0, 0)),
            ("sound, before another", 900, false, vec![], None, Some(300), vec![], vec![], (0, 0)),
            ("not begun", 10, true, vec![rot(0, 10)], None, None, vec![Remove], vec![], (0, 0)),
            (
                "not begun, before another",
                10,
                false,
                vec![rot(0, 10)],
                None,
                None,
                vec![SetAside],
                vec![rot(0, 10)],
                (0, 0),
            ),
            (
                "torn",
                900,
                true,
                vec![],
                torn(700, 0),
                Some(300),
                vec![WriteAgain { from: 300, end: 700 }, Cut(700)],
                vec![],
                (200, 0),
            ),
            ("a hole", 900, true, vec![], torn(700, 2), None, vec![SetAside, Cut(700)], vec![], (200, 2)),
            (
                "torn, before another",
                900,
                false,
                vec![],
                torn(700, 0),
                None,
                vec![SetAside],
                vec![rot(700, 200)],
                (0, 0),
            ),
            ("rotten", 900, true, vec![rot(100, 9)], None, None, vec![SetAside], vec![rot(100, 9)], (0, 0)),
            (
                "rotten and torn",
                900,
                true,
                vec![rot(100, 9)],
                torn(700, 0),
                None,
                vec![Cut(700), SetAside],
                vec![rot(100, 9)],
                (200, 0),
            ),
        ] {
            let segment = Segment { path: "log".into(), generation: 1, bytes, last };
            let found = Findings { damages, torn, unsure_from, ..Findings::default() };
            let (torn_bytes, torn_records) = cut;
            let want = Plan { repairs, damages: lost, torn_bytes, torn_records };
            assert_eq!(plan(&segment, found), want, "{name}");
        }
    }
}
