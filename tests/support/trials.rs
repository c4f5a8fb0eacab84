//! Tests that need what a machine may lack: data beside the repository, a namespace of their own. libtest knows before a
//! test runs whether it is ignored, and takes one that returns for passed. These say why they did not run, and count as
//! ignored. Their binaries have `harness = false` in Cargo.toml, and end `main` with [`run`].

use libtest_mimic::{Arguments, Completion, Trial};

/// What a test lacks, as a sentence.
pub struct Missing(pub String);

/// How a test ends that does not fail.
pub type Ran = Result<(), Missing>;

/// A test and its name.
pub type Test = (&'static str, fn() -> Ran);

/// Runs the tests as libtest would, by the arguments of the process.
pub fn run(tests: &[Test]) -> ! {
    let trial = |&(name, test): &Test| {
        Trial::ignorable_test(name, move || {
            Ok(match test() {
                Ok(()) => Completion::Completed,
                Err(Missing(why)) => Completion::ignored_with(why),
            })
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.iter().map(trial).collect()).exit()
}
