//! An HTTP client simple enough to trust: it sends what it is told and reads one answer.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// No test waits longer than this for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client(BufReader<TcpStream>);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The header's value; `""` where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Client(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends this side: nothing more is sent.
    pub async fn end(&mut self) {
        self.0.get_mut().shutdown().await.unwrap();
    }

    /// Sends a request without a body; `headers` are lines that end with CRLF.
    pub async fn ask(&mut self, method: &str, target: &str, headers: &str) -> Answer {
        self.send(format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")).await;
        self.read(method == "HEAD").await
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    pub async fn post_form(&mut self, target: &str, form: &str) -> Answer {
        self.post(target, "application/x-www-form-urlencoded", form).await
    }

    pub async fn post(&mut self, target: &str, kind: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        self.read(false).await
    }

    /// Reads one answer; of an answer to HEAD only the head.
    pub async fn read(&mut self, head_only: bool) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_whole(head_only)).await.expect("an answer in time")
    }

    async fn read_whole(&mut self, head_only: bool) -> Answer {
        let status = self.line().await;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.expect("a status line");
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_string()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").parse().unwrap_or(0);
        if !head_only {
            answer.body.resize(length, 0);
            self.0.read_exact(&mut answer.body).await.unwrap();
        }
        answer
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_string()
    }

    /// Waits until the server closes; tells how many bytes came before that.
    pub async fn closed(&mut self) -> usize {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("closed in time");
        // A reset is a way to close, too.
        read.unwrap_or(rest.len())
    }
}
