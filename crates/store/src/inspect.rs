//! Looks at a data directory from outside: `sealine verify` and `sealine dump`. Reads only, also beside a running
//! daemon.

use crate::batch::dump_record;
use crate::disk::{self, FileName};
use crate::wal::{self, SegmentName};
use sealine_base::vfs::SharedVfs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file or folder cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be listed.
    #[error("cannot list {path}")]
    List {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// It holds nothing of ours.
    #[error("{path} is not a data directory: it has neither a folder db nor a folder wal")]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// The name says nothing.
    #[error("{path} is neither a chunk file (…-….chunks) nor a log segment (…-….wal)")]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A chunk file cannot be read.
    #[error(transparent)]
    Disk(#[from] disk::DiskError),
    /// A log segment cannot be read.
    #[error(transparent)]
    Wal(#[from] wal::ReplayError),
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Files read.
    pub files: u64,
    /// Sound samples in chunk files.
    pub samples: u64,
    /// Sound records in log segments.
    pub records: u64,
    /// What is wrong: a sentence with file and offset each.
    pub faults: Vec<String>,
}

/// Reads every chunk file and log segment below `dir`.
pub fn verify(vfs: &SharedVfs, dir: &Path) -> Result<Verified, InspectError> {
    let list = |dir: &Path| vfs.list(dir).map_err(|source| InspectError::List { path: dir.to_path_buf(), source });
    let names: Vec<String> = list(dir)?.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect();
    if !names.iter().any(|name| name == "db" || name == "wal") {
        return Err(InspectError::NotOurs { path: dir.to_path_buf() });
    }
    let mut verified = Verified::default();
    let mut folders = vec![dir.join("db")];
    while let Some(folder) = folders.pop() {
        for entry in list(&folder)? {
            let path = folder.join(&entry.name);
            if entry.is_dir {
                folders.push(path);
            } else if FileName::parse(&entry.name).is_some() {
                let (faults, samples) = disk::verify_file(vfs, &path);
                verified.files += 1;
                verified.samples += samples;
                verified.faults.extend(faults.into_iter().map(|fault| fault.what));
            }
        }
    }
    let wal_dir = dir.join("wal");
    let segments = wal::segments(&**vfs, &wal_dir);
    let segments = segments.map_err(|source| InspectError::List { path: wal_dir.clone(), source })?;
    for (name, _) in segments {
        let path = wal_dir.join(name.to_string());
        verified.files += 1;
        match wal::dump(&**vfs, &path, |_, _, _| verified.records += 1) {
            Ok((_, damages)) => verified.faults.extend(damages.iter().map(|damage| {
                format!(
                    "log segment {} holds no sound record in {} bytes at byte {} (at its end, a record that was never \
                     answered for)",
                    damage.path.display(),
                    damage.bytes,
                    damage.offset
                )
            })),
            Err(error) => verified.faults.push(error.to_string()),
        }
    }
    Ok(verified)
}

/// Writes what is in a chunk file or a log segment, for people to read.
pub fn dump(vfs: &SharedVfs, path: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if FileName::parse(name).is_some() {
        return Ok(disk::dump(vfs, path, out)??);
    }
    if SegmentName::parse(name).is_none() {
        return Err(InspectError::Unknown { path: path.to_path_buf() });
    }
    let mut written = Ok(());
    let (generation, damages) = wal::dump(&**vfs, path, |offset, header, payload| {
        if written.is_ok() {
            written = writeln!(out, "record {} at byte {offset}: {} bytes", header.lsn, header.length)
                .and_then(|()| dump_record(payload, out));
        }
    })?;
    written?;
    match generation {
        Some(generation) => writeln!(out, "generation {generation}")?,
        None => writeln!(out, "the segment's header cannot be read")?,
    }
    for damage in damages {
        writeln!(out, "no sound record in {} bytes at byte {}", damage.bytes, damage.offset)?;
    }
    Ok(())
}
