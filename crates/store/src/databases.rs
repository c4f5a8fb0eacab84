//! Which databases there are, and which a client may write to or make.

use super::Store;
use crate::memory::Database;
use sealine_model::split_policy;
use sealine_telemetry::RequestRejection;
use std::sync::Arc;

/// Bytes of a database's name. It becomes the name of a folder, in which a byte may take three.
const DATABASE_BYTES_MAX: usize = 80;

/// Why there is no database of a name, and none is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDatabase {
    /// None can have that name.
    #[error("a database's name has 1 to {DATABASE_BYTES_MAX} bytes, this one has {got}")]
    Name {
        /// Bytes of it.
        got: usize,
    },
    /// There are as many as there may be.
    #[error("a new database {name:?} would pass the {max} databases of cardinality.max_databases")]
    TooMany {
        /// What it would be called.
        name: String,
        /// The limit.
        max: u64,
    },
    /// It is not there, and a write makes none. In InfluxDB's words, which its clients look for.
    #[error("database not found: {name:?}")]
    Unknown {
        /// The name, without that of a policy.
        name: String,
    },
    /// The same of a retention policy, whose database is there.
    #[error("retention policy not found: {policy}")]
    UnknownPolicy {
        /// The name of the policy.
        policy: String,
    },
}

/// Whether a database can have this name.
fn check_database(name: &str) -> Result<(), BadDatabase> {
    let fits = (1..=DATABASE_BYTES_MAX).contains(&name.len());
    fits.then_some(()).ok_or(BadDatabase::Name { got: name.len() })
}

impl Store {
    /// The names of all databases.
    pub fn database_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.databases.all().iter().map(|d| d.name.to_string()).collect();
        names.extend(self.partitions.databases().iter().map(ToString::to_string));
        names.sort();
        names.dedup();
        names
    }

    /// Makes sure that there is a database of this name. One without data is gone after a restart.
    pub fn create_database(&self, name: &str) -> Result<(), BadDatabase> {
        self.database(name).map(drop)
    }

    /// The database that a client writes to.
    pub(super) fn database_of_write(&self, name: &str) -> Result<Arc<Database>, BadDatabase> {
        check_database(name)?;
        if self.options.make_databases || self.has_database(name) {
            return self.database(name);
        }
        Err(match split_policy(name) {
            (database, Some(policy)) if self.has_database(database) => {
                BadDatabase::UnknownPolicy { policy: policy.to_string() }
            }
            (database, _) => BadDatabase::Unknown { name: database.to_string() },
        })
    }

    /// Whether it was made, has data, or is named by the options.
    fn has_database(&self, name: &str) -> bool {
        self.options.named.contains_key(name) || self.databases.get(name).is_some()
    }

    /// The database of this name; made where there is none, as far as there may be more.
    fn database(&self, name: &str) -> Result<Arc<Database>, BadDatabase> {
        check_database(name)?;
        if self.options.named.contains_key(name) {
            return Ok(self.databases.get_or_create(name));
        }
        self.databases.get_or_admit(name).ok_or_else(|| {
            self.telemetry.http.rejected(RequestRejection::TooManyDatabases).inc();
            BadDatabase::TooMany { name: name.to_string(), max: self.databases.cardinality().limits().databases_max }
        })
    }
}
