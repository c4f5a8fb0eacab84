//! What this process may use: memory, by the machine and by its control groups; open files; cores come from
//! `std::thread::available_parallelism`, which knows quotas already.

mod open_files;

pub use open_files::OpenFiles;

use std::path::{Path, PathBuf};

/// Assumed if the kernel does not say: small enough for every machine that runs a daemon.
const MEMORY_UNKNOWN: u64 = 1 << 30;

/// Bytes of memory that the process may use: the machine's, or less where a control group or one above it says so.
/// `memory.limit` is a share of this. Read anew each time.
pub fn memory_bytes() -> u64 {
    let machine = kernel_text("/proc/meminfo").and_then(|meminfo| machine_bytes(&meminfo));
    let groups = kernel_text("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| kernel_text(&path)?.trim().parse().ok());
    limits.chain(machine).min().unwrap_or(MEMORY_UNKNOWN)
}

/// The host's name, as the kernel has it; `localhost` if it has none.
pub fn host_name() -> String {
    let name = kernel_text("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_string() } else { name.to_string() }
}

/// What the kernel says in one of its files, those of `/proc` and `/sys`; `None` where it has no such file.
#[expect(clippy::disallowed_methods, reason = "the kernel's answers, not files that a disk could lose")]
pub fn kernel_text(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB whatever its unit says.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The files that may hold a limit, by the lines of `/proc/self/cgroup`: `0::/path` for version 2, `5:memory:/path`
/// for version 1; each group and those above it. Without a limit they hold `max`, or a number beyond any machine.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        files.extend(group.ancestors().map(|group| Path::new(mount).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_in_each_group_and_above_it() {
        for (name, groups, want) in [
            ("version_2", "0::/a/b\n", &["a/b/memory.max", "a/memory.max", "memory.max"][..]),
            ("own_namespace", "0::/\n", &["memory.max"]),
            (
                "version_1",
                "12:cpu,cpuacct:/x\n5:memory:/x:y\n",
                &["memory/x:y/memory.limit_in_bytes", "memory/memory.limit_in_bytes"],
            ),
            ("other_controllers", "3:pids:/x\n", &[]),
            ("nothing", "", &[]),
            ("nonsense", "memory\n", &[]),
        ] {
            let want: Vec<PathBuf> = want.iter().map(|file| Path::new("/sys/fs/cgroup").join(file)).collect();
            assert_eq!(limit_files(groups), want, "{name}");
        }
    }

    #[test]
    fn the_machines_memory_is_in_kib() {
        for (meminfo, want) in [
            ("MemTotal:        2048 kB\nMemFree:  1 kB\n", Some(2_097_152)),
            ("MemFree:  1 kB\n", None),
            ("MemTotal: lots\n", None),
        ] {
            assert_eq!(machine_bytes(meminfo), want, "{meminfo:?}");
        }
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory_bytes() >= 32 << 20);
    }
}
