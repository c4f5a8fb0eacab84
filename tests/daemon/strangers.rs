//! The story: the daemon stands where others reach it. Who has no token gets nothing, who has one gets what it says,
//! and nobody can open it to strangers without having written so.

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::http::{Answer, Client};
use rustix::process::{Pid, Signal, kill_process};
use sealine::config::{Right, Token};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A daemon with tokens, which stand in a file; killed when it is dropped.
struct Guarded {
    child: Child,
    http: SocketAddr,
}

impl Guarded {
    fn start(folder: &Path, configuration: &str) -> Guarded {
        let mut child = command(folder, configuration, &["--http", "127.0.0.1:0"]).spawn().expect("the binary runs");
        let mut log = BufReader::new(child.stderr.take().expect("standard error is a pipe")).lines();
        let mut http = None;
        for line in log.by_ref().map_while(Result::ok) {
            if line.contains("serving HTTP") {
                let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
                http = address.map(|address| address.parse().expect("the log names the address"));
            }
            if line.contains(" ready ") {
                break;
            }
        }
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Guarded { child, http: http.expect("the daemon serves HTTP") }
    }

    fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let mut client = Client::connect(self.http);
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        client.send(&[head.as_bytes(), body.as_bytes()].concat()).expect("the request goes out");
        client.answer().unwrap_or_else(|error| panic!("no answer to {method} {target}: {error}"))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).expect("the daemon is there");
        let _ = self.child.wait(); // it was killed a line above
    }
}

#[expect(clippy::disallowed_methods, reason = "a test sets up its file")]
fn command(folder: &Path, configuration: &str, more: &[&str]) -> Command {
    let file = folder.join("sealine.toml");
    std::fs::write(&file, configuration).expect("the test's folder is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealine"));
    command.args(["serve", "--udp", "", "--config"]).arg(file).arg("--data-dir").arg(folder.join("data")).args(more);
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn sealine(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealine")).args(arguments).env_clear().output().expect("the binary runs")
}

/// What `sealine token` prints: the token, on standard error, and its block for the configuration.
fn made(arguments: &[&str]) -> (String, String) {
    let output = sealine(&[&["token"][..], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).expect("we print UTF-8");
    let (block, said) = (text(output.stdout), text(output.stderr));
    let token = said.lines().nth(1).expect("the token is on its line").to_string();
    assert!(!block.contains(&token), "whoever appends the block to a file keeps no secret there");
    (token, block)
}

#[test]
fn a_token_opens_what_it_says_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (writer, writer_block) = made(&["telegraf", "--rights", "write", "--database", "mine"]);
    let (reader, reader_block) = made(&["grafana", "--rights", "read", "--database", "mine"]);
    let (chief, chief_block) = made(&["chief", "--rights", "read,write,admin"]);
    let daemon = Guarded::start(folder.path(), &format!("{writer_block}\n{reader_block}\n{chief_block}"));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let (w, r, c) = (bearer(&writer), bearer(&reader), bearer(&chief));

    for (name, method, target, headers, body, status, part) in [
        ("no token", "POST", "/write?db=mine", "", "m v=1", 401, "a token is needed"),
        ("a wrong one", "POST", "/write?db=mine", "Authorization: Token x\r\n", "m v=1", 401, "not one of those"),
        ("the writer", "POST", "/write?db=mine", &w, "mine v=1", 204, ""),
        ("by parameters", "POST", &format!("/write?db=mine&u=me&p={writer}"), "", "mine v=2", 204, ""),
        ("as InfluxDB 2", "POST", "/api/v2/write?bucket=mine", &w, "mine v=3", 204, ""),
        ("elsewhere", "POST", "/write?db=other", &w, "m v=1", 403, "right `write`, but not on the database `other`"),
        ("by default", "POST", "/write", &w, "m v=1", 403, "not on the database `default`"),
        ("the reader writes", "POST", "/write?db=mine", &r, "m v=1", 403, "`grafana` does not have the right `write`"),
        ("the chief elsewhere", "POST", "/write?db=other", &c, "other v=1", 204, ""),
        ("the writer makes", "POST", "/query?q=CREATE+DATABASE+mine", &w, "", 200, "statement_id"),
        ("elsewhere too", "POST", "/query?q=CREATE+DATABASE+third", &w, "", 403, "not on the database `third`"),
        ("the writer lists", "GET", "/query?q=SHOW+DATABASES", &w, "", 200, r#""values":[["mine"]]"#),
        (
            "the writer reads",
            "GET",
            "/api/v1/query?query=mine_v",
            &w,
            "",
            403,
            "`telegraf` does not have the right `read`",
        ),
        ("nobody reads", "GET", "/api/v1/query?query=mine_v", "", "", 401, r#""errorType":"unauthorized""#),
        ("the reader reads", "GET", "/api/v1/query?query=mine_v", &r, "", 200, r#""3""#),
        ("its own", "GET", "/api/v1/query?query=mine_v&db=mine", &r, "", 200, r#""3""#),
        ("not others", "GET", "/api/v1/query?query=other_v", &r, "", 200, r#""result":[]"#),
        ("not by name", "GET", "/api/v1/query?query=other_v&db=other", &r, "", 403, "not on the database `other`"),
        ("nor names", "GET", "/api/v1/label/__name__/values", &r, "", 200, r#"["mine_v"]"#),
        ("the chief all", "GET", "/api/v1/label/__name__/values", &c, "", 200, r#"["mine_v","other_v"]"#),
        ("pages of all", "GET", "/api/v1/status/tsdb", &r, "", 403, "this page covers all of them"),
        ("metrics", "GET", "/metrics", "", "", 401, "a token is needed"),
        ("metrics of all", "GET", "/metrics", &c, "", 200, "sealine_"),
        ("the reader seals", "POST", "/admin/seal", &r, "", 403, "`grafana` does not have the right `admin`"),
        ("nobody seals, from here either", "POST", "/admin/seal", "", "", 401, "a token is needed"),
        ("the chief seals", "POST", "/admin/seal", &c, "", 200, "samples"),
        ("health", "GET", "/health", "", "", 200, "pass"),
        ("ping", "GET", "/ping", "", "", 204, ""),
        ("a page asks whether it may", "OPTIONS", "/api/v1/query", "", "", 204, ""),
    ] {
        let answer = daemon.ask(method, target, headers, body);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert!(answer.text().contains(part), "{name}: {}", answer.text());
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{name}");
    }
}

#[test]
fn a_body_is_not_read_before_the_token_is_known() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (token, block) = made(&["x", "--rights", "write"]);
    let daemon = Guarded::start(folder.path(), &block);
    let head =
        |headers: &str| format!("POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n{headers}\r\n");

    // A stranger who announces a gigabyte and asks first is refused, and not told to go on.
    let mut client = Client::connect(daemon.http);
    client.send(head("Expect: 100-continue\r\n").as_bytes()).expect("the head goes out");
    assert_eq!(client.answer().expect("an answer").status, 401);

    // One who sends it anyway gets the answer after the first part of it, without the rest.
    let mut client = Client::connect(daemon.http);
    client.send(head("").as_bytes()).expect("the head goes out");
    client.send(&[b'x'; 100_000]).expect("the beginning goes out");
    assert_eq!(client.answer().expect("an answer").status, 401);

    // One with a token is told to go on.
    let mut client = Client::connect(daemon.http);
    client
        .send(head(&format!("Authorization: Token {token}\r\nExpect: 100-continue\r\n")).as_bytes())
        .expect("it goes out");
    assert_eq!(client.answer().expect("an answer").status, 100);
}

#[test]
fn metrics_can_be_opened() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (_, block) = made(&["x", "--rights", "write"]);
    let daemon = Guarded::start(folder.path(), &format!("http.open_metrics = true\n{block}"));
    assert_eq!(daemon.ask("GET", "/metrics", "", "").status, 200);
    assert_eq!(daemon.ask("GET", "/api/v1/labels", "", "").status, 401);
}

#[test]
fn nothing_listens_for_strangers_unless_told_to() {
    let (_, token) = Token::fresh("x", &[Right::Read], &[]).expect("there are random bits");
    for (name, configuration, part) in [
        (
            "http",
            "http.listen = '0.0.0.0:0'".to_string(),
            "http.listen: got 0.0.0.0:0, where whoever reaches it could write",
        ),
        ("udp", "".to_string(), "udp.listen: got 0.0.0.0:0, where whoever reaches it could write"),
        ("tcp", format!("tcp.listen = '[::]:0'\n{}", token.to_block()), "or `open = true` in [tcp]"),
    ] {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let more: &[&str] = if name == "udp" { &["--udp", "0.0.0.0:0"] } else { &[] };
        let mut command = command(folder.path(), &configuration, more);
        if name == "udp" {
            command = Command::new(env!("CARGO_BIN_EXE_sealine"));
            command.args(["serve", "--udp", "0.0.0.0:0", "--data-dir"]).arg(folder.path().join("data")).env_clear();
        }
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(part), "{name}: {said}");
        assert!(!folder.path().join("data").exists(), "{name}: nothing was begun");
    }
}

#[test]
fn sealine_token_prints_a_token_once_and_good_configuration() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (token, text) = made(&["a \"b\"", "--rights", "read,write", "--database", "x", "--database", "y"]);
    assert_eq!(token.len(), 43);
    for part in ["[[token]]", r#"name = "a \"b\"""#, r#"rights = ["read", "write"]"#, r#"databases = ["x", "y"]"#] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    drop(Guarded::start(folder.path(), &text));
}

#[test]
fn listeners_take_host_names_and_all_interfaces() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let settings = [("tcp.listen", "localhost:0"), ("http.open", "true")];
    let other_flags = "set -- serve --http :0 --udp localhost:0 --data-dir \"$7\"";
    let daemon = Daemon::start_after(other_flags, folder.path(), &settings);
    assert!(daemon.udp().ip().is_loopback() && daemon.tcp().ip().is_loopback(), "{:?}", daemon.log());
    assert!(daemon.http().ip().is_unspecified(), "{:?}", daemon.log());
    let port = daemon.http().port();
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(client.post("/write?db=mine", &[], b"mine v=1").status, 204);
    // Of this machine, although the address is one of IPv6 that stands for one of IPv4.
    assert_eq!(client.post("/admin/seal", &[], b"").status, 200);
    if daemon.http().is_ipv6() {
        let mut client = Client::connect(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
        assert_eq!(client.post("/write?db=mine", &[], b"mine v=2").status, 204);
    }
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"udp v=1", daemon.udp())).expect("it is sent");
    TcpStream::connect(daemon.tcp()).and_then(|mut stream| stream.write_all(b"tcp v=1\n")).expect("it is sent");
    for name in ["udp_v", "tcp_v"] {
        eventually("lines that came by name are there", || {
            let answer = client.get(&format!("/api/v1/query?query={name}")).text().to_string();
            answer.contains(r#""1""#).then_some(())
        });
    }
    daemon.stop();
}

#[test]
fn a_name_that_leads_nowhere_is_told_with_its_setting() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let output = command(folder.path(), "http.open = true", &["--http", "no-such-host.invalid:0"]).output();
    let output = output.expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let want = "error: cannot listen as http.listen says: cannot resolve the name `no-such-host.invalid`: ";
    assert!(said.contains(want), "{said}");
    let first = said.lines().next().expect("there is a log");
    for path in ["sealine.toml", "data"] {
        let path = folder.path().join(path);
        assert!(first.contains(path.to_str().expect("paths of tests are text")), "{first} names no {path:?}");
    }
}
