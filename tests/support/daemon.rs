//! The real binary on free ports, with a data folder that outlives it, so that it can be killed and started again.

use super::http::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_sealine");

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    child: Child,
    /// Lines of its log so far; a thread goes on reading them, so that the pipe never fills up.
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
    http: SocketAddr,
    udp: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
}

/// A daemon that ended instead of getting ready.
#[derive(Debug)]
pub struct NotStarted {
    pub status: ExitStatus,
    pub log: Vec<String>,
}

impl Daemon {
    /// Starts a daemon on `data` and waits until it is ready. `settings` are keys as in the configuration file.
    pub fn start(data: &Path, settings: &[(&str, &str)]) -> Daemon {
        Daemon::try_start(data, settings).unwrap_or_else(|ended| panic!("the daemon did not start: {ended:#?}"))
    }

    /// [`Self::start`], with a configuration file.
    pub fn start_with(file: &Path, data: &Path) -> Daemon {
        let file = file.to_str().expect("paths of tests are text");
        let started = Daemon::run(Command::new(BINARY), data, &["--config", file], &[]);
        started.unwrap_or_else(|ended| panic!("the daemon did not start: {ended:#?}"))
    }

    /// [`Self::start`], where it may not.
    pub fn try_start(data: &Path, settings: &[(&str, &str)]) -> Result<Daemon, NotStarted> {
        Daemon::run(Command::new(BINARY), data, &[], settings)
    }

    /// [`Self::start`] from a shell that does something before, such as `ulimit -n 64`.
    pub fn start_after(before: &str, data: &Path, settings: &[(&str, &str)]) -> Daemon {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), BINARY]);
        Daemon::run(shell, data, &[], settings).unwrap_or_else(|ended| panic!("the daemon did not start: {ended:#?}"))
    }

    /// Starts a daemon and kills it so much later, wherever it is by then.
    pub fn start_and_kill(data: &Path, settings: &[(&str, &str)], after: Duration) {
        let mut child = spawn(Command::new(BINARY), data, &[], settings);
        std::thread::sleep(after); // not to wait for something: the moment is what this is about
        child.kill().expect("the daemon is our child");
        child.wait().expect("the daemon is our child");
    }

    fn run(command: Command, data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Daemon, NotStarted> {
        let mut child = spawn(command, data, arguments, settings);
        let mut stderr = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let mut log = Vec::new();
        while !log.last().is_some_and(|line: &String| line.contains(" ready ")) {
            let mut line = String::new();
            if stderr.read_line(&mut line).expect("the log is text") == 0 {
                let status = child.wait().expect("the daemon is our child");
                return Err(NotStarted { status, log });
            }
            log.push(line);
        }
        let bound = |what: &str| -> Option<SocketAddr> {
            let line = log.iter().find(|line| line.contains(what))?;
            let (_, address) = line.split_once("address=")?;
            Some(address.split_whitespace().next()?.parse().expect("the log names the address that was bound"))
        };
        let (http, udp, tcp) =
            (bound("serving HTTP").expect("HTTP is on"), bound("taking lines by UDP"), bound("taking lines by TCP"));
        let log = Arc::new(Mutex::new(log));
        let reading = Some(std::thread::spawn({
            let log = log.clone();
            move || read_on(stderr, &log)
        }));
        Ok(Daemon { child, log, reading, http, udp, tcp })
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(self.http)
    }

    /// Where it serves HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it takes datagrams.
    pub fn udp(&self) -> SocketAddr {
        self.udp.expect("UDP is on")
    }

    /// Where it takes lines by TCP.
    pub fn tcp(&self) -> SocketAddr {
        self.tcp.expect("TCP is on: set tcp.listen")
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the reader does not panic").clone()
    }

    /// What kills it, for a thread that does so at its own time.
    pub fn killer(&self) -> impl FnOnce() + Send + use<> {
        let signal = self.signals();
        move || signal(Signal::KILL)
    }

    /// What sends it signals, for a thread that does so at its own time.
    pub fn signals(&self) -> impl Fn(Signal) + Send + use<> {
        let pid = Pid::from_child(&self.child);
        // The child is waited for by `kill` or `stop` alone, so until then its number belongs to nobody else.
        move |signal| kill_process(pid, signal).expect("the daemon is there")
    }

    /// From now on no file of it may grow beyond this; `None` takes the limit away. For one that ignores SIGXFSZ, which
    /// is what `trap '' XFSZ` is for: then a write beyond it fails, as on a full disk.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).expect("the daemon is ours");
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("the daemon is our child")
    }

    /// `kill -9`, and nothing else. Returns its log.
    pub fn kill(mut self) -> Vec<String> {
        self.end();
        self.log()
    }

    /// SIGTERM; the daemon has to end in order.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the daemon is there");
        let status = self.child.wait().expect("the daemon is our child");
        assert!(status.success(), "{status}: {:#?}", self.log());
    }

    /// Its resident memory, and the most that it has been, in bytes.
    #[expect(clippy::disallowed_methods, reason = "/proc is the kernel's answer, not a file")]
    pub fn memory_bytes(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the daemon runs");
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
            line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
        };
        (kib("VmRSS:") << 10, kib("VmHWM:") << 10)
    }

    /// The processor time that it has taken, of all its threads.
    #[expect(clippy::disallowed_methods, reason = "/proc is the kernel's answer, not a file")]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the daemon runs");
        let (_, fields) = stat.rsplit_once(") ").expect("the kernel tells the name in parentheses");
        let ticks = |at: usize| -> u64 {
            fields.split(' ').nth(at).and_then(|field| field.parse().ok()).expect("the kernel tells numbers")
        };
        Duration::from_millis((ticks(11) + ticks(12)) * 10) // user and system, in hundredths of a second
    }

    fn end(&mut self) {
        let _ = self.child.kill(); // an error says that it has ended already
        let _ = self.child.wait();
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            println!("the daemon's log:\n{}", self.log().concat());
        }
    }
}

fn spawn(mut command: Command, data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
    command.args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--data-dir"]).arg(data);
    // Tests count series and databases; those about the daemon's own turn it on.
    command.args(arguments).env_clear().env("SEALINE__TELEMETRY__STORE_INTERVAL", "0");
    for (key, value) in settings {
        command.env(format!("SEALINE__{}", key.to_ascii_uppercase().replace('.', "__")), value);
    }
    command.stderr(Stdio::piped()).spawn().expect("the binary runs")
}

fn read_on(stderr: BufReader<ChildStderr>, log: &Mutex<Vec<String>>) {
    for line in stderr.lines().map_while(Result::ok) {
        log.lock().expect("nobody panics with the log").push(line + "\n");
    }
}
