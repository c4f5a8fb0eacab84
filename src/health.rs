//! Asks a running daemon whether it is healthy: one `GET /-/healthy` over HTTP/1.1, by hand and with time-outs, so
//! that a container's health check needs no shell, no client and no runtime. Inside TLS where the daemon speaks it.

use crate::config::{Http, ResolveError};
use crate::tls;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Each of connecting, sending and receiving may take this long: less than what container runtimes allow a check.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);

/// As much of the answer as is looked at: its status line.
const ANSWER_BYTES: usize = 32;

/// Why the daemon does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The name in the address leads nowhere.
    #[error("cannot ask at the address of http.listen")]
    Name(#[from] ResolveError),
    /// No answer, or not in time.
    #[error("the daemon at {address} does not answer")]
    Silent {
        /// Who was asked.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// An answer other than 200.
    #[error("the daemon at {address} is not healthy: got `{answer}`, want `HTTP/1.1 200`")]
    Unhealthy {
        /// Who was asked.
        address: SocketAddr,
        /// The beginning of the answer.
        answer: String,
    },
}

/// Whether the daemon that listens as `http` says answers `GET /-/healthy` with 200. All interfaces (`:8086`, `0.0.0.0`)
/// are asked at the loopback address. Where a name stands for several addresses, the first that answers counts.
pub fn check(http: &Http) -> Result<(), HealthError> {
    let addresses: Vec<SocketAddr> = http.listen.resolve()?.into_iter().map(reachable).collect();
    let asked = |address: &SocketAddr| (*address, ask(*address, http.tls.is_on()));
    let mut answers = addresses.iter().map(asked);
    let first = answers.next().expect("BUG: an address resolves to one at least");
    let (address, answer) = match first.1 {
        Err(_) => answers.find(|(_, answer)| answer.is_ok()).unwrap_or(first),
        Ok(_) => first,
    };
    let answer = answer.map_err(|source| HealthError::Silent { address, source })?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => {
            let answer = answer.lines().next().unwrap_or("").to_string();
            Err(HealthError::Unhealthy { address, answer })
        }
    }
}

fn ask(address: SocketAddr, inside_tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, STEP_TIMEOUT)?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    match inside_tls {
        true => exchange(tls::trusting(stream, address.ip())?, address),
        false => exchange(stream, address),
    }
}

fn exchange(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    // In one piece: a server may answer, and close, once it has seen the first line.
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    stream.take(ANSWER_BYTES as u64).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The address under which this machine reaches what listens at `address`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::net::TcpListener;

    fn at(listen: &str) -> Http {
        Http { listen: listen.parse().expect("an address"), ..Config::default().http }
    }

    /// A server on a free port that reads one request and sends `answer`.
    fn answering(host: &str, answer: &'static str) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the check connects");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("the check asks");
            assert!(request[..length].starts_with(b"GET /-/healthy HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("the check listens");
        });
        at(&format!("{host}:{}", address.port()))
    }

    #[test]
    fn only_200_is_healthy() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(())),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("got `HTTP/1.1 503 Service Unavailable`")),
            ("SSH-2.0-OpenSSH\r\n", Err("got `SSH-2.0-OpenSSH`")),
            ("", Err("got ``")),
        ] {
            // The server listens at 127.0.0.1.
            for host in ["0.0.0.0", "127.0.0.1", "localhost", ""] {
                match (check(&answering(host, answer)), want) {
                    (Ok(()), Ok(())) => {}
                    (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                    (got, want) => panic!("{answer:?} at {host:?}: got {got:?}, want {want:?}"),
                }
            }
        }
    }

    #[test]
    fn nobody_there_is_told_apart_from_a_name_that_leads_nowhere() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        drop(listener);
        for host in ["127.0.0.1", "localhost"] {
            let silent = check(&at(&format!("{host}:{}", address.port()))).unwrap_err().to_string();
            assert_eq!(silent, format!("the daemon at {address} does not answer"));
        }
        let nowhere = check(&at("no-such-host.invalid:1")).unwrap_err();
        assert_eq!(nowhere.to_string(), "cannot ask at the address of http.listen");
        let cause = std::error::Error::source(&nowhere).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("cannot resolve the name `no-such-host.invalid`"));
    }
}
