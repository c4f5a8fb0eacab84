//! What must hold for any body of line protocol: nothing panics, every line is accounted for, and the body means the
//! same whole and in two pieces. Shared by the fuzz target and by the test that replays the corpus.

use sealine_lineproto::{Limits, LineError, Lines, Point, Splitter, parse_points};

/// Small, so that short inputs meet the bounds.
fn limits() -> Limits {
    Limits { line_bytes_max: 64, key_bytes_max: 32, fields_max: 4, tags_max: 4, ..Limits::default() }
}

/// Panics where a rule is broken.
pub fn check(body: &[u8]) {
    for limits in [limits(), Limits::default()] {
        let whole = parse_points(body, &limits);
        let newlines = body.iter().filter(|&&b| b == b'\n').count() as u64;
        assert!(whole.is_sorted_by(|(a, _), (b, _)| a < b), "line numbers grow");
        assert!(whole.last().is_none_or(|(number, _)| *number <= newlines + 1), "no line is made up");
        for (_, point) in &whole {
            match point {
                Ok(point) => assert!(!point.fields.is_empty() && !point.measurement.is_empty()),
                Err(error) => assert!(error.column >= 1 && !error.to_string().contains('\n'), "{error}"),
            }
        }
        // As many cuts as a long input allows in reasonable time.
        for cut in (0..=body.len()).step_by(1 + body.len() / 64) {
            assert_eq!(in_two_pieces(body, cut, &limits), whole, "cut at byte {cut}");
        }
    }
}

fn in_two_pieces(body: &[u8], cut: usize, limits: &Limits) -> Vec<(u64, Result<Point, LineError>)> {
    let mut splitter = Splitter::new(limits);
    let mut points = Vec::new();
    let mut buffer = Vec::new();
    for (piece, last) in [(&body[..cut], false), (&body[cut..], true)] {
        buffer.extend_from_slice(piece);
        let split = splitter.split(&buffer, last);
        let mut lines = Lines::new(split.lines, limits).numbered_from(split.number);
        while let Some(line) = lines.next_line() {
            let point = line.and_then(|line| line.to_point(limits));
            points.push((lines.number(), point));
        }
        buffer = split.rest.to_vec();
    }
    points
}
