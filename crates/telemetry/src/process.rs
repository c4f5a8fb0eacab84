//! The process as the kernel sees it: read from `/proc/self` each time somebody asks, and left out elsewhere.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};
use sealine_base::machine::kernel_text;

/// What the kernel counts CPU time in for `/proc`: 100 a second on every Linux architecture that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// One moment of the process.
#[derive(Debug, Clone, PartialEq)]
struct Process {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    open_files: f64,
    max_files: f64,
    threads: f64,
}

/// Gives `process_*`, under the names that every Prometheus client uses.
pub(super) struct ProcessCollector {
    descriptions: Vec<Desc>,
}

impl ProcessCollector {
    pub fn new() -> Self {
        let none = Process {
            cpu_seconds: 0.0,
            start_seconds: 0.0,
            resident_bytes: 0.0,
            virtual_bytes: 0.0,
            open_files: 0.0,
            max_files: 0.0,
            threads: 0.0,
        };
        let descriptions = metrics(&none).iter().flat_map(|metric| metric.desc()).cloned().collect();
        ProcessCollector { descriptions }
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        read().iter().flat_map(metrics).flat_map(|metric| metric.collect()).collect()
    }
}

/// The metrics of one moment, made anew each time: two readers at once cannot disturb each other.
fn metrics(process: &Process) -> Vec<Box<dyn Collector>> {
    const WELL_NAMED: &str = "BUG: a metric of the process is not well named";
    let cpu = Counter::new("process_cpu_seconds_total", "CPU time, user and system.").expect(WELL_NAMED);
    cpu.inc_by(process.cpu_seconds);
    let gauges = [
        ("process_start_time_seconds", "Start of the process since the Unix epoch.", process.start_seconds),
        ("process_resident_memory_bytes", "Resident memory in bytes.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory in bytes.", process.virtual_bytes),
        ("process_open_fds", "Open file descriptors.", process.open_files),
        ("process_max_fds", "Most file descriptors that may be open.", process.max_files),
        ("process_threads", "Threads of the process.", process.threads),
    ];
    let mut metrics: Vec<Box<dyn Collector>> = vec![Box::new(cpu)];
    for (name, help, value) in gauges {
        let gauge = Gauge::new(name, help).expect(WELL_NAMED);
        gauge.set(value);
        metrics.push(Box::new(gauge));
    }
    metrics
}

#[expect(clippy::disallowed_methods, reason = "/proc is the kernel's answer, not a file that a disk could lose")]
fn read() -> Option<Process> {
    let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    parse(
        &kernel_text("/proc/self/stat")?,
        &kernel_text("/proc/self/status")?,
        &kernel_text("/proc/self/limits")?,
        &kernel_text("/proc/stat")?,
        open_files,
    )
}

/// Puts the files together; `None` where one does not look as the kernel's documentation says.
fn parse(stat: &str, status: &str, limits: &str, machine: &str, open_files: usize) -> Option<Process> {
    // The name in brackets may hold anything, brackets and spaces too: fields count from behind the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let kilobytes = |name: &str| Some(number_behind(status, name)? * 1024.0);
    Some(Process {
        cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
        start_seconds: number_behind(machine, "btime ")? + field(22)? / TICKS_PER_SECOND,
        resident_bytes: kilobytes("VmRSS:")?,
        virtual_bytes: kilobytes("VmSize:")?,
        // One of them is the folder that was listed.
        open_files: open_files.saturating_sub(1) as f64,
        max_files: number_behind(limits, "Max open files").unwrap_or(f64::INFINITY),
        threads: number_behind(status, "Threads:")?,
    })
}

/// The first word of the line that starts with `name`, as a number.
fn number_behind(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 1000 99 9 1";
    const STATUS: &str = "Name:\ta) b\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
    const LIMITS: &str = "Limit  Soft  Hard  Units\nMax open files            1024   4096   files\n";
    const MACHINE: &str = "cpu  1 2 3\nbtime 1700000000\n";

    #[test]
    fn the_kernels_files_are_read_as_documented() {
        let want = Process {
            cpu_seconds: 2.0,
            start_seconds: 1_700_000_010.0,
            resident_bytes: 1_048_576.0,
            virtual_bytes: 2_097_152.0,
            open_files: 9.0,
            max_files: 1024.0,
            threads: 7.0,
        };
        assert_eq!(parse(STAT, STATUS, LIMITS, MACHINE, 10), Some(want.clone()));
        let unlimited = LIMITS.replace("1024", "unlimited");
        let want = Process { max_files: f64::INFINITY, ..want };
        assert_eq!(parse(STAT, STATUS, &unlimited, MACHINE, 10), Some(want));
    }

    #[test]
    fn files_of_another_shape_give_nothing() {
        for (name, stat, status, machine) in [
            ("empty_stat", "", STATUS, MACHINE),
            ("short_stat", "42 (a) S 1", STATUS, MACHINE),
            ("no_status", STAT, "", MACHINE),
            ("no_boot_time", STAT, STATUS, "cpu 1"),
        ] {
            assert_eq!(parse(stat, status, LIMITS, machine, 1), None, "{name}");
        }
    }
}
