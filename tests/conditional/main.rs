//! Tests that may find that they cannot run, and then count as ignored and say why (tests/support/trials.rs).

#[path = "../support/mod.rs"]
mod support;

mod few_threads;
mod nab_round_trip;
mod promqltest;
mod small_disk;

fn main() {
    support::trials::run(&[
        ("few_threads", few_threads::TESTS),
        ("nab_round_trip", nab_round_trip::TESTS),
        ("promqltest", promqltest::TESTS),
        ("small_disk", small_disk::TESTS),
    ]);
}
