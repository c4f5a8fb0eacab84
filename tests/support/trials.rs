//! Tests that need what a machine may lack: data beside the repository, a namespace of their own. libtest knows before a
//! test runs whether it is ignored, and takes one that returns for passed. These say why they did not run, and count as
//! ignored. They are in tests/conditional, which has `harness = false` in Cargo.toml and ends `main` with [`run`].

use libtest_mimic::{Arguments, Completion, Trial};

/// What a test lacks, as a sentence.
pub struct Missing(pub String);

/// How a test ends that does not fail.
pub type Ran = Result<(), Missing>;

/// A test and its name.
pub type Test = (&'static str, fn() -> Ran);

/// Runs the tests of these modules as libtest would, by the arguments of the process.
pub fn run(modules: &[(&str, &[Test])]) -> ! {
    let trial = |module: &str, &(name, test): &Test| {
        Trial::ignorable_test(format!("{module}::{name}"), move || {
            Ok(match test() {
                Ok(()) => Completion::Completed,
                Err(Missing(why)) => Completion::ignored_with(why),
            })
        })
    };
    let trials = modules.iter().flat_map(|(module, tests)| tests.iter().map(move |test| trial(module, test)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit()
}
