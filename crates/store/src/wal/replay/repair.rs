//! Changes a segment on the disk: removes it, writes its end again, cuts its tail off, sets a copy of it aside.

use crate::wal::reader::READ_BYTES;
use sealine_base::vfs::Vfs;
use std::io;
use std::path::Path;

/// What is done to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// The file is removed.
    Remove,
    /// The bytes `from..end` are written again: see [`make_durable`].
    WriteAgain { from: u64, end: u64 },
    /// A copy is put into the quarantine.
    SetAside,
    /// What stands from here on is cut off.
    Cut(u64),
}

impl Repair {
    /// For messages: what cannot be done where it fails.
    pub fn what(self) -> &'static str {
        match self {
            Repair::Remove => "remove empty log segment",
            Repair::WriteAgain { .. } => "write again the end of log segment",
            Repair::SetAside => "copy to quarantine the log segment",
            Repair::Cut(_) => "cut the torn tail of log segment",
        }
    }

    pub fn carry_out(self, vfs: &dyn Vfs, path: &Path, quarantine: &Path) -> io::Result<()> {
        match self {
            Repair::Remove => vfs.remove_file(path),
            Repair::WriteAgain { from, end } => make_durable(vfs, path, from, end),
            Repair::SetAside => keep_copy(vfs, path, quarantine),
            Repair::Cut(at) => {
                let mut file = vfs.open_append(path)?;
                file.truncate(at)?;
                file.sync()
            }
        }
    }
}

/// Writes the end of the last segment again, with the same bytes, and syncs it: a process that was killed may have left
/// them with the kernel alone, and where its sync had failed the kernel takes them for written, so that another sync
/// does nothing. What a query sees from now on must not go with the next power cut.
fn make_durable(vfs: &dyn Vfs, path: &Path, from: u64, end: u64) -> io::Result<()> {
    let file = vfs.open(path)?;
    let mut at = from;
    while at < end {
        let mut block = vec![0; READ_BYTES.min((end - at) as usize)];
        file.read_at(&mut block, at)?;
        vfs.overwrite(path, &block, at)?;
        at += block.len() as u64;
    }
    Ok(())
}

/// Copies a damaged segment, so that it can be looked at after the seal has deleted it. A disk that is full keeps no copy,
/// and does not keep the daemon from starting either.
fn keep_copy(vfs: &dyn Vfs, path: &Path, quarantine: &Path) -> io::Result<()> {
    match set_aside(vfs, path, quarantine) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            tracing::error!(path = %path.display(), %error, "the disk is full: no copy of a damaged segment is kept");
            Ok(())
        }
        outcome => outcome,
    }
}

fn set_aside(vfs: &dyn Vfs, path: &Path, quarantine: &Path) -> io::Result<()> {
    vfs.create_dir_all(quarantine)?;
    let Some(name) = path.file_name() else { return Ok(()) };
    let (to, unfinished) = (quarantine.join(name), quarantine.join(name).with_extension("wal.tmp"));
    if vfs.open(&to).is_ok() {
        return Ok(()); // copied at an earlier start
    }
    let _ = vfs.remove_file(&unfinished); // what an earlier start did not finish
    let from = vfs.open(path)?;
    let mut copy = vfs.create(&unfinished)?;
    let mut copied = || -> io::Result<()> {
        let (mut at, length) = (0, from.len()?);
        while at < length {
            let mut block = vec![0; READ_BYTES.min((length - at) as usize)];
            from.read_at(&mut block, at)?;
            copy.append(&block)?;
            at += block.len() as u64;
        }
        copy.sync()
    };
    if let Err(error) = copied() {
        let _ = vfs.remove_file(&unfinished);
        return Err(error);
    }
    vfs.rename(&unfinished, &to)?;
    vfs.sync_dir(quarantine)
}
