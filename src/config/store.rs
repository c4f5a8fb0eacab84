//! What the configuration says to the store.

use super::{Config, Names, Retention, WalSync};
use sealine_base::machine;
use sealine_lineproto::Limits;
use sealine_model::Naming;
use sealine_store::{CardinalityLimits, Options, Rules, SyncPolicy};

/// Bytes of `memory.limit` for each series that there may be, where `cardinality.max_series` is 0: twice what
/// one takes that has a tag set of ten tags to itself (0.96 KiB, its first sample included; 0.19 KiB where ten share it).
const MEMORY_BYTES_PER_SERIES: u64 = 2 << 10;

impl Config {
    /// What the store is set to. Asks the machine for its memory, of which `memory.limit` may be a share.
    pub fn store_options(&self) -> Options {
        let ingest = &self.ingest;
        let memory_bytes = self.memory.limit.of(machine::memory_bytes());
        // What listeners write to is there for them, however many databases there may be.
        let listeners = [&self.udp.database, &self.tcp.database].into_iter();
        let named = listeners.chain(self.database.iter().map(|policy| &policy.name)).map(|name| {
            let policy = self.database(name);
            (name.clone(), rules(&policy.naming, &policy.retention))
        });
        Options {
            data_dir: self.data_dir.clone(),
            memory_bytes,
            cardinality: self.cardinality_limits(memory_bytes),
            lines: Limits {
                line_bytes_max: ingest.max_line_bytes as usize,
                key_bytes_max: ingest.max_key_bytes as usize,
                tags_max: ingest.max_tags,
                name_bytes_max: ingest.max_name_bytes as usize,
                value_bytes_max: ingest.max_value_bytes as usize,
                fields_max: ingest.max_fields,
            },
            future_max: ingest.max_future,
            samples_per_second_max: ingest.max_samples_per_second,
            errors_listed_max: ingest.max_errors_listed,
            lookback: self.query.lookback,
            sync: match self.wal.sync {
                WalSync::Always => SyncPolicy::Always,
                WalSync::Interval(interval) => SyncPolicy::Interval(interval),
                WalSync::Never => SyncPolicy::Never,
            },
            segment_bytes: self.wal.segment_bytes,
            log_bytes_max: self.wal.max_bytes,
            merge: self.merge.enabled,
            fan_in: self.merge.fan_in,
            disk_bytes_max: self.disk.max_bytes,
            free_bytes_min: self.disk.min_free_bytes,
            make_databases: ingest.make_databases,
            named: named.collect(),
            rules: rules(&self.naming, &self.retention),
        }
    }

    /// What `[cardinality]` says, with what follows from `memory.limit`, in bytes.
    pub fn cardinality_limits(&self, memory_bytes: u64) -> CardinalityLimits {
        let limit = |setting: u64| if setting == 0 { u64::MAX } else { setting };
        let cardinality = &self.cardinality;
        CardinalityLimits {
            series_max: match cardinality.max_series {
                0 => memory_bytes / MEMORY_BYTES_PER_SERIES,
                series => series,
            },
            database_series_max: limit(cardinality.max_series_per_database),
            measurement_series_max: limit(cardinality.max_series_per_measurement),
            tag_values_max: limit(cardinality.max_values_per_tag),
            databases_max: limit(cardinality.max_databases),
        }
    }
}

/// What a database's sections say.
fn rules(naming: &super::Naming, retention: &Retention) -> Rules {
    Rules {
        naming: Naming {
            template: naming.template.clone(),
            elide_field: naming.elide_field.clone(),
            utf8: naming.names == Names::Utf8,
            db_label: naming.db_label,
            info_fields: naming.string_fields.clone(),
        },
        in_memory: retention.memory,
        on_disk: retention.disk,
    }
}
