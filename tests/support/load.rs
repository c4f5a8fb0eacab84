//! Load in the shape of a fleet of hosts with an agent on each, and a model that says what has to come of it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write;

/// When the load starts, 2023-11-14 22:13:20 UTC: less than two hours before a partition ends.
pub const START_MS: i64 = 1_700_000_000_000;

/// What every host sends a point this much later.
pub const STEP_MS: i64 = 60_000;

const CPU_FIELDS: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-central-1", "sa-east-1"];

/// Series by `metric{host="…"}`, each with its values by time in milliseconds.
pub type Model = BTreeMap<String, BTreeMap<i64, f64>>;

/// Some hosts: their gauges walk, their counters grow.
pub struct Fleet {
    rng: StdRng,
    name: String,
    hosts: Vec<Host>,
    point: i64,
    /// What was sent, so far.
    pub model: Model,
}

struct Host {
    gauges: [f64; CPU_FIELDS.len()],
    counters: [u64; 4],
    memory: f64,
}

/// One point of every host: what one request carries.
pub struct Request {
    pub body: String,
    pub samples: u64,
    pub time_ms: i64,
}

impl Fleet {
    /// Hosts `{name}-0` and so on, which also carry the tag `fleet`.
    pub fn new(name: &str, hosts: usize, seed: u64) -> Fleet {
        let mut rng = StdRng::seed_from_u64(seed);
        let hosts = (0..hosts).map(|_| Host {
            gauges: std::array::from_fn(|_| rng.random_range(0.0..100.0)),
            counters: std::array::from_fn(|_| rng.random_range(0..1 << 40)),
            memory: rng.random_range(0.0..16e9),
        });
        Fleet { hosts: hosts.collect(), rng, name: name.to_string(), point: 0, model: Model::new() }
    }

    /// The next point of every host: ten integer gauges, four counters and two floats each, as three lines.
    pub fn request(&mut self) -> Request {
        let time_ms = START_MS + self.point * STEP_MS;
        self.point += 1;
        let mut request = Request { body: String::new(), samples: 0, time_ms };
        for (number, host) in self.hosts.iter_mut().enumerate() {
            let (fleet, region) = (&self.name, REGIONS[number % REGIONS.len()]);
            let name = format!("{fleet}-{number}");
            let mut line = |measurement: &str, fields: &[(&str, String, f64)]| {
                write!(request.body, "{measurement},host={name},fleet={fleet},region={region}").expect("memory");
                for (at, (field, text, value)) in fields.iter().enumerate() {
                    let separator = if at == 0 { ' ' } else { ',' };
                    write!(request.body, "{separator}{field}={text}").expect("memory");
                    let series = format!("{measurement}_{field}{{host=\"{name}\"}}");
                    self.model.entry(series).or_default().insert(time_ms, *value);
                }
                writeln!(request.body, " {time_ms}").expect("memory");
                request.samples += fields.len() as u64;
            };
            let gauges = CPU_FIELDS.iter().zip(&mut host.gauges).map(|(field, gauge)| {
                *gauge = (*gauge + self.rng.random_range(-2.0..2.0)).clamp(0.0, 100.0);
                (*field, format!("{}i", gauge.trunc()), gauge.trunc())
            });
            line("cpu", &gauges.collect::<Vec<_>>());
            let counters = ["bytes_recv", "bytes_sent", "packets_recv", "packets_sent"];
            let counters = counters.iter().zip(&mut host.counters).map(|(field, counter)| {
                *counter += self.rng.random_range(0..3_000_000);
                (*field, format!("{counter}i"), *counter as f64)
            });
            line("net", &counters.collect::<Vec<_>>());
            host.memory = (host.memory + self.rng.random_range(-5e6..5e6)).clamp(0.0, 16e9);
            let share = host.memory / 16e9 * 100.0;
            let memory = [("used", host.memory), ("used_percent", share)];
            line("mem", &memory.map(|(field, value)| (field, value.to_string(), value)));
        }
        request
    }

    /// Takes a point out of the model that was never stored.
    pub fn forget(&mut self, time_ms: i64) {
        for samples in self.model.values_mut() {
            samples.remove(&time_ms);
        }
    }

    /// What the names of its hosts begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The times of the points that the model has.
    pub fn times(&self) -> Vec<i64> {
        self.model.values().next().map_or_else(Vec::new, |samples| samples.keys().copied().collect())
    }

    /// How many samples the model has.
    pub fn samples(&self) -> u64 {
        self.model.values().map(|samples| samples.len() as u64).sum()
    }
}
