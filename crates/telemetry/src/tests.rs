//! The whole of `/metrics`. Its names and types are an interface, so every one is written down here.

use super::*;
use std::collections::BTreeSet;

/// Every metric that we make, with its type.
const METRICS: &[(&str, &str)] = &[
    ("sealine_archives_total", "counter"),
    ("sealine_build_info", "gauge"),
    ("sealine_config_hash", "gauge"),
    ("sealine_config_last_reload_success_timestamp_seconds", "gauge"),
    ("sealine_config_last_reload_successful", "gauge"),
    ("sealine_disk_free_bytes", "gauge"),
    ("sealine_files_quarantined_total", "counter"),
    ("sealine_http_connections", "gauge"),
    ("sealine_http_requests_in_flight", "gauge"),
    ("sealine_ingested_bytes_total", "counter"),
    ("sealine_ingested_lines_total", "counter"),
    ("sealine_ingested_samples_total", "counter"),
    ("sealine_memory_bytes", "gauge"),
    ("sealine_memory_files_dropped_total", "counter"),
    ("sealine_memory_limit_bytes", "gauge"),
    ("sealine_merge_failures_total", "counter"),
    ("sealine_merges_total", "counter"),
    ("sealine_name_collisions_total", "counter"),
    ("sealine_overwritten_samples_total", "counter"),
    ("sealine_partitions_expired_total", "counter"),
    ("sealine_queries_running", "gauge"),
    ("sealine_queries_total", "counter"),
    ("sealine_queries_waiting", "gauge"),
    ("sealine_query_duration_seconds", "histogram"),
    ("sealine_query_name_collisions_total", "counter"),
    ("sealine_query_samples_read_total", "counter"),
    ("sealine_refused_writes_total", "counter"),
    ("sealine_rejected_lines_total", "counter"),
    ("sealine_rejected_requests_total", "counter"),
    ("sealine_seal_duration_seconds", "histogram"),
    ("sealine_seal_failures_total", "counter"),
    ("sealine_seals_total", "counter"),
    ("sealine_slow_queries_total", "counter"),
    ("sealine_strings_dropped_total", "counter"),
    ("sealine_suspect_lines_total", "counter"),
    ("sealine_tcp_connections", "gauge"),
    ("sealine_tier_bytes", "gauge"),
    ("sealine_tier_chunks", "gauge"),
    ("sealine_tier_series", "gauge"),
    ("sealine_tls_certificate_expiry_timestamp_seconds", "gauge"),
    ("sealine_tls_certificate_last_reload_successful", "gauge"),
    ("sealine_tls_handshake_failures_total", "counter"),
    ("sealine_udp_datagrams_total", "counter"),
    ("sealine_udp_kernel_drops_total", "counter"),
    ("sealine_wal_disk_bytes", "gauge"),
    ("sealine_wal_fsync_duration_seconds", "histogram"),
    ("sealine_wal_fsync_failures_total", "counter"),
    ("sealine_wal_missing_segments_total", "counter"),
    ("sealine_wal_unsynced_age_seconds", "gauge"),
    ("sealine_wal_unsynced_bytes", "gauge"),
    ("sealine_wal_written_bytes_total", "counter"),
];

/// Those of the process, which are there on Linux only.
const PROCESS: &[(&str, &str)] = &[
    ("process_cpu_seconds_total", "counter"),
    ("process_max_fds", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_threads", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
];

/// The lines of `text` that start with `# what `, as pairs of a name and the rest.
fn comments<'t>(text: &'t str, what: &str) -> BTreeSet<(&'t str, &'t str)> {
    let head = format!("# {what} ");
    text.lines().filter_map(|line| line.strip_prefix(head.as_str())?.split_once(' ')).collect()
}

#[test]
fn every_metric_is_there_before_anything_happened_with_its_type_and_a_help_text() {
    let text = Telemetry::new().render();
    let process = if cfg!(target_os = "linux") { PROCESS } else { &[] };
    let want: BTreeSet<(&str, &str)> = METRICS.iter().chain(process).copied().collect();
    assert_eq!(comments(&text, "TYPE"), want);
    for (name, help) in comments(&text, "HELP") {
        assert!(help.ends_with('.') && help.len() > 10, "{name}: {help}");
    }
    for (name, _) in want {
        let samples = text.lines().filter(|line| line.starts_with(name)).count();
        assert!(samples > 0, "{name} has no sample: its first increase would be lost to rate()");
    }
}

#[test]
fn names_say_their_unit_and_counters_that_they_count() {
    for (name, kind) in METRICS.iter().chain(PROCESS) {
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        assert!(!name.contains("milli") && !name.contains("kilo") && !name.contains("_ms"), "{name}: base units only");
        assert_eq!(*kind == "histogram", name.ends_with("_duration_seconds"), "{name}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard = include_str!("../../../conf/grafana/dashboard.json");
    let asked: BTreeSet<&str> = dashboard
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("sealine_") || word.starts_with("process_"))
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect();
    assert!(asked.len() > 30, "the dashboard shows most of what there is: {asked:?}");
    for name in asked {
        assert!(METRICS.iter().chain(PROCESS).any(|(known, _)| *known == name), "{name} is asked for, but never made");
    }
}

#[test]
fn each_handle_moves_the_sample_that_its_labels_say() {
    let telemetry = Telemetry::new();
    telemetry.inlet(Protocol::Udp).lines.inc_by(3);
    telemetry.inlet(Protocol::Tcp).rejected("future", 1);
    telemetry.http.rejected(RequestRejection::BodyTooLarge).inc_by(2);
    telemetry.tier(Tier::Resident).bytes.set(4096);
    telemetry.query.ended(Endpoint::QueryRange, Outcome::Limit, 0.003);
    telemetry.wal.unsynced_age.set(0.25);
    let clone = telemetry.clone();
    clone.seal.done.inc();
    let text = telemetry.render();
    for line in [
        "sealine_ingested_lines_total{protocol=\"udp\"} 3",
        "sealine_ingested_lines_total{protocol=\"http\"} 0",
        "sealine_rejected_lines_total{protocol=\"tcp\",reason=\"future\"} 1",
        "sealine_rejected_requests_total{reason=\"body_too_large\"} 2",
        "sealine_tier_bytes{tier=\"resident\"} 4096",
        "sealine_queries_total{endpoint=\"query_range\",outcome=\"limit\"} 1",
        "sealine_query_duration_seconds_bucket{endpoint=\"query_range\",le=\"0.0016\"} 0",
        "sealine_query_duration_seconds_bucket{endpoint=\"query_range\",le=\"0.0032\"} 1",
        "sealine_query_duration_seconds_count{endpoint=\"query_range\"} 1",
        "sealine_wal_unsynced_age_seconds 0.25",
        "sealine_seals_total 1",
        concat!("sealine_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|got| got == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn samples_are_those_of_the_text() {
    let telemetry = Telemetry::new();
    telemetry.inlet(Protocol::Udp).lines.inc_by(3);
    telemetry.query.ended(Endpoint::QueryRange, Outcome::Limit, 0.003);
    telemetry.query.ended(Endpoint::Query, Outcome::Ok, 1e9);
    let families = telemetry.registry.gather(); // once, since the process does not stand still
    let mut text = String::new();
    TextEncoder::new().encode_utf8(&families, &mut text).unwrap();
    let want: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let got: Vec<String> = samples::samples(&families)
        .iter()
        .map(|OwnSample { name, labels, value }| {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            format!("{name}{labels} {value}")
        })
        .collect();
    assert_eq!(got, want);
}

#[test]
fn two_of_them_share_nothing() {
    let (one, other) = (Telemetry::new(), Telemetry::new());
    one.seal.done.inc();
    assert_eq!((one.seal.done.get(), other.seal.done.get()), (1, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_this_one() {
    let text = Telemetry::new().render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().expect("a sample's value is a number")
    };
    assert!(value("process_resident_memory_bytes") > 100_000.0);
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_threads") >= 1.0);
    assert!(value("process_start_time_seconds") > 1_700_000_000.0);
}
