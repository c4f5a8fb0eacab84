//! Asks a running daemon whether it is healthy: one `GET /-/healthy` over HTTP/1.1, by hand and with time-outs, so
//! that a container's health check needs no shell, no client and no runtime. Inside TLS where the daemon speaks it.

use crate::config::Http;
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
    /// HTTP is off, so there is nobody to ask.
    #[error("http.listen is off: there is nobody to ask")]
    Off,
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

/// Whether the daemon that listens as `http` says answers `GET /-/healthy` with 200. An unspecified address (`0.0.0.0`)
/// is asked at the loopback address.
pub fn check(http: &Http) -> Result<(), HealthError> {
    let address = reachable(http.listen.0.ok_or(HealthError::Off)?);
    let answer = ask(address, http.tls.is_on()).map_err(|source| HealthError::Silent { address, source })?;
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
    use crate::config::{Config, Listen};
    use std::net::TcpListener;

    fn at(address: Option<SocketAddr>) -> Http {
        Http { listen: Listen(address), ..Config::default().http }
    }

    /// A server on a free port that reads one request and sends `answer`.
    fn answering(answer: &'static str) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the check connects");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("the check asks");
            assert!(request[..length].starts_with(b"GET /-/healthy HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("the check listens");
        });
        at(Some(([0, 0, 0, 0], address.port()).into()))
    }

    #[test]
    fn only_200_is_healthy() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(())),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("got `HTTP/1.1 503 Service Unavailable`")),
            ("SSH-2.0-OpenSSH\r\n", Err("got `SSH-2.0-OpenSSH`")),
            ("", Err("got ``")),
        ] {
            match (check(&answering(answer)), want) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (got, want) => panic!("{answer:?}: got {got:?}, want {want:?}"),
            }
        }
    }

    #[test]
    fn nobody_there_is_told_apart_from_off() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        drop(listener);
        let silent = check(&at(Some(address))).unwrap_err().to_string();
        assert_eq!(silent, format!("the daemon at {address} does not answer"));
        assert_eq!(check(&at(None)).unwrap_err().to_string(), "http.listen is off: there is nobody to ask");
    }
}
