//! Makes metrics and registers them in one step. A name that is wrong or taken is our own mistake, and a test would
//! find it: every metric is made each time a `Telemetry` is.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Upper bounds in seconds of what should take milliseconds, such as an fsync or a query: 0.1 ms to 52 s, by factors
/// of two.
const DURATION_BUCKETS: [f64; 20] = [
    0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512, 0.1024, 0.2048, 0.4096, 0.8192,
    1.6384, 3.2768, 6.5536, 13.1072, 26.2144, 52.4288,
];

const UNIQUE: &str = "BUG: a metric's name is wrong or taken";

/// A registry that metrics are being added to.
pub(super) struct Register<'r>(pub &'r Registry);

impl Register<'_> {
    pub fn collector(&self, collector: impl Collector + 'static) {
        self.0.register(Box::new(collector)).expect(UNIQUE);
    }

    fn kept<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect(UNIQUE);
        self.collector(metric.clone());
        metric
    }

    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.kept(IntCounter::new(name, help))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.kept(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.kept(IntGauge::new(name, help))
    }

    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.kept(Gauge::new(name, help))
    }

    pub fn gauge_with(&self, name: &str, help: &str, label: &str, value: &str) -> IntGauge {
        self.kept(IntGauge::with_opts(Opts::new(name, help).const_label(label, value)))
    }

    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.kept(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub fn durations(&self, name: &str, help: &str) -> Histogram {
        self.kept(Histogram::with_opts(HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec())))
    }

    pub fn durations_by(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.kept(HistogramVec::new(HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec()), labels))
    }
}
