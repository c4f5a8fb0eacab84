//! A control group of the kernel's with little memory: what a container is to a daemon.
#![expect(clippy::disallowed_methods, reason = "groups are files of the kernel")]

use std::fs;
use std::path::{Path, PathBuf};

/// A group; goes away with this, once nobody is in it any more.
pub struct ControlGroup(PathBuf);

impl ControlGroup {
    /// A group below that of the test, whose processes may have so many bytes, what the kernel keeps of their files
    /// included. `None` where the system lets the test make none.
    pub fn with_memory(bytes: u64) -> Option<ControlGroup> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (mount, file, own) = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            match controllers {
                "" => Some(("/sys/fs/cgroup", "memory.max", path)),
                "memory" => Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path)),
                _ => None,
            }
        })?;
        let above = Path::new(mount).join(own.trim_start_matches('/'));
        let group = ControlGroup(above.join(format!("sealine-test-{}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        // Where the folder is no group, or has no such controller, there is no such file to write to.
        let limit = group.0.join(file);
        let set = limit.exists() && fs::write(limit, bytes.to_string()).is_ok();
        set.then_some(group)
    }

    /// What a shell does to be in it.
    pub fn enter(&self) -> String {
        format!("echo $$ > {}", self.0.join("cgroup.procs").display())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0); // where somebody is still in it, it stays
    }
}
