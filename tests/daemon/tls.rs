//! The story: HTTP goes through a network that others listen on, so it speaks TLS. Its certificate is renewed while it
//! runs, now and then badly; and not everybody who comes speaks TLS.
//!
//! It would fail where a client is served without TLS, where one that does not shake hands holds its place for ever,
//! where a new certificate needs a restart, or where a bad one takes the place of a good one.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use sealine::tls::trusting;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// 2023-11-14 22:13:20 UTC, in milliseconds.
const TIME_MS: i64 = 1_700_000_000_000;

/// No answer takes this long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a certificate for `localhost`, its key, and data.
struct Place {
    folder: TempDir,
    cert: PathBuf,
    key: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        Place { folder, cert, key }
    }

    /// Puts a new pair there, and gives the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = made();
        write(&self.cert, &made.cert.pem());
        write(&self.key, &made.signing_key.serialize_pem());
        made.cert.der().clone()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let text = |path: &'a Path| path.to_str().expect("paths of tests are text");
        [&[("http.tls.cert", text(&self.cert)), ("http.tls.key", text(&self.key))], more].concat()
    }

    fn start(&self, more: &[(&str, &str)]) -> Daemon {
        Daemon::start(&self.data(), &self.settings(more))
    }
}

fn made() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_string()]).expect("a certificate can be made")
}

#[expect(clippy::disallowed_methods, reason = "a test sets up its files")]
fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("the test's folder is writable");
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    stream
}

/// TLS to the daemon, as a client that trusts this certificate and no other.
fn strict(address: SocketAddr, trusted: &CertificateDer<'static>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("it is a certificate");
    let config = ClientConfig::builder_with_provider(sealine::tls::provider());
    let config = config.with_safe_default_protocol_versions().expect("both versions are there");
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(config, name).expect("a connection"), tcp(address))
}

/// One request on a connection that stays open; the status and the body.
fn ask(stream: &mut (impl Read + Write), method: &str, target: &str, body: &str) -> io::Result<(u16, String)> {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.expect("a status"), String::from_utf8(body).map_err(io::Error::other)?))
}

/// One request on a connection of its own, whatever certificate is there.
fn get(daemon: &Daemon, target: &str) -> String {
    let mut stream = trusting(tcp(daemon.http()), daemon.http().ip()).expect("a connection");
    let (status, body) = ask(&mut stream, "GET", target, "").expect("an answer");
    assert_eq!(status, 200, "{target}: {body}");
    body
}

/// The certificate that a new connection is shown.
fn shown(daemon: &Daemon) -> CertificateDer<'static> {
    let mut stream = trusting(tcp(daemon.http()), daemon.http().ip()).expect("a connection");
    ask(&mut stream, "GET", "/ping", "").expect("an answer");
    stream.conn.peer_certificates().expect("a certificate was shown")[0].clone().into_owned()
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    let page = get(daemon, "/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().expect("a number")
}

fn failures(daemon: &Daemon, reason: &str) -> f64 {
    metric(daemon, &format!("sealine_tls_handshake_failures_total{{reason=\"{reason}\"}}"))
}

#[test]
fn lines_and_questions_go_through_tls_for_who_trusts_the_certificate() {
    let place = Place::new();
    let certificate = place.renew();
    let daemon = place.start(&[]);
    let mut stream = strict(daemon.http(), &certificate);
    // A body that takes many records of TLS, and on the same connection the question.
    let lines: String = (0..20_000).map(|at| format!("cpu,host=h{} v={at} {}\n", at % 100, TIME_MS + at)).collect();
    let written = ask(&mut stream, "POST", "/write?db=story&precision=ms", &lines).expect("an answer");
    assert_eq!(written, (204, String::new()));
    let target = format!("/api/v1/query?query=count(cpu_v)&time={}", TIME_MS / 1000 + 20);
    let (status, body) = ask(&mut stream, "GET", &target, "").expect("an answer");
    assert_eq!((status, body.contains(r#""100""#)), (200, true), "{body}");

    assert!(metric(&daemon, "sealine_tls_certificate_expiry_timestamp_seconds") > 1e9);
    let before = failures(&daemon, "refused");
    assert!(ask(&mut strict(daemon.http(), made().cert.der()), "GET", "/ping", "").is_err(), "another is trusted");
    eventually("the refusal is counted", || (failures(&daemon, "refused") == before + 1.0).then_some(()));

    let mut health = Command::new(env!("CARGO_BIN_EXE_sealine"));
    health.args(["healthcheck", "--http", &daemon.http().to_string()]).env_clear();
    assert!(!health.status().expect("the binary runs").success(), "without TLS it gets no answer that counts");
    health.env("SEALINE__HTTP__TLS__CERT", &place.cert).env("SEALINE__HTTP__TLS__KEY", &place.key);
    assert!(health.status().expect("the binary runs").success());
    drop(stream);
    daemon.stop();
}

#[test]
fn who_does_not_shake_hands_gets_no_further() {
    let place = Place::new();
    place.renew();
    let daemon = place.start(&[("http.header_timeout", "2s")]);
    for (name, bytes, reason, answer) in [
        ("http", &b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"[..], "plain_http", Some("https://")),
        ("a write", b"POST /write?db=x HTTP/1.1\r\nContent-Length: 5\r\n\r\nm v=1", "plain_http", Some("https://")),
        ("noise", b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", "not_tls", None),
        ("nothing", b"", "timeout", None),
        ("half a hello", b"\x16\x03\x01\x02\x00\x01\x00", "timeout", None),
    ] {
        let before = failures(&daemon, reason);
        let mut stream = tcp(daemon.http());
        stream.write_all(bytes).expect("it goes out");
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got); // closed or reset; that it comes back is what counts
        let got = String::from_utf8_lossy(&got).into_owned();
        if let Some(answer) = answer {
            assert!(got.starts_with("HTTP/1.1 400 ") && got.contains(answer), "{name}: {got}");
        } else {
            assert!(!got.contains("HTTP/1.1"), "{name}: {got}");
        }
        drop(stream);
        eventually(&format!("{name} is counted"), || (failures(&daemon, reason) == before + 1.0).then_some(()));
    }
    assert!(!get(&daemon, "/api/v1/labels").contains("m_v"), "nothing came in without TLS");
    daemon.stop();
}

#[test]
fn handshakes_count_among_the_connections_and_hold_no_place_for_ever() {
    let place = Place::new();
    place.renew();
    let daemon = place.start(&[("http.header_timeout", "2s"), ("http.max_connections", "2")]);
    let silent = [tcp(daemon.http()), tcp(daemon.http())];
    let third = trusting(tcp(daemon.http()), daemon.http().ip());
    assert!(ask(&mut third.expect("a connection"), "GET", "/ping", "").is_err(), "there is no place");
    eventually("the places are free again", || {
        let mut stream = trusting(tcp(daemon.http()), daemon.http().ip()).ok()?;
        ask(&mut stream, "GET", "/ping", "").ok()
    });
    drop(silent);
    daemon.stop();
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let place = Place::new();
    let first = place.renew();
    let daemon = place.start(&[]);
    assert_eq!(shown(&daemon), first);
    let good = || metric(&daemon, "sealine_tls_certificate_last_reload_successful");
    let mut open = strict(daemon.http(), &first);
    assert_eq!(ask(&mut open, "GET", "/ping", "").expect("an answer").0, 204);

    // By itself, once the files have changed.
    let second = place.renew();
    eventually("the second certificate is shown", || (shown(&daemon) == second).then_some(()));
    assert_eq!(good(), 1.0);

    // A key of another certificate: told of, counted, and not taken.
    write(&place.key, &made().signing_key.serialize_pem());
    eventually("the bad pair is found", || (good() == 0.0).then_some(()));
    assert_eq!(shown(&daemon), second);
    let warning =
        "the certificate has changed but cannot be used; the previous one stays in use: http.tls.key: got a key";
    assert!(daemon.log().iter().any(|line| line.contains("WARN") && line.contains(warning)), "{:?}", daemon.log());
    // A reload finds it bad as well, and takes nothing.
    let mut stream = trusting(tcp(daemon.http()), daemon.http().ip()).expect("a connection");
    let (status, body) = ask(&mut stream, "POST", "/-/reload", "").expect("an answer");
    assert_eq!((status, body.contains("http.tls.key: got a key")), (422, true), "{body}");
    assert_eq!(metric(&daemon, "sealine_config_last_reload_successful"), 0.0);

    let third = place.renew();
    daemon.signals()(Signal::HUP);
    eventually("the third certificate is shown", || (shown(&daemon) == third).then_some(()));
    eventually("all is well again", || (good() == 1.0).then_some(()));
    assert_eq!(ask(&mut open, "GET", "/ping", "").expect("it was open all the time").0, 204);
}

#[test]
fn without_a_good_pair_nothing_is_begun() {
    let place = Place::new();
    place.renew();
    write(&place.key, "not a key");
    let ended = Daemon::try_start(&place.data(), &place.settings(&[])).err().expect("it does not start");
    let said = ended.log.concat();
    let want = format!("http.tls.key: got 9 bytes without a PEM section in {}", place.key.display());
    assert!(said.contains(&want), "{said}");
    assert_eq!(ended.status.code(), Some(1));
    assert!(!place.data().exists(), "nothing was begun");
    let ended = Daemon::try_start(&place.data(), &place.settings(&[])[..1]).err().expect("it does not start");
    assert!(ended.log.concat().contains("but no http.tls.key: want both files or neither"), "{:?}", ended.log);
}

#[test]
fn the_drop_in_for_systemd_gives_the_daemon_its_key() {
    let drop_in = include_str!("../../conf/sealine.service.d/tls.conf");
    let values = |name: &str| -> Vec<&str> { drop_in.lines().filter_map(|line| line.strip_prefix(name)).collect() };
    let place = Place::new();
    let certificate = place.renew();
    let folder = place.folder.path().to_str().expect("paths of tests are text");
    let credentials: Vec<&str> =
        values("LoadCredential=").iter().filter_map(|credential| credential.split(':').next()).collect();
    assert_eq!(credentials, ["cert.pem", "key.pem"], "as they are called in this folder");
    let variables: Vec<(String, String)> = values("Environment=")
        .iter()
        .filter_map(|variable| variable.strip_prefix("SEALINE__")?.split_once('='))
        .map(|(key, value)| (key.to_lowercase().replace("__", "."), value.replace("%d", folder)))
        .collect();
    let settings: Vec<(&str, &str)> = variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let daemon = Daemon::start(&place.data(), &settings);
    let answer = ask(&mut strict(daemon.http(), &certificate), "GET", "/ping", "").expect("an answer");
    assert_eq!(answer, (204, String::new()));
    daemon.stop();
}
