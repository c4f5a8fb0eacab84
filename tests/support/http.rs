//! A small HTTP/1.1 client over one connection that is kept open, by hand: what goes over the wire is what a story says.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes this long on a machine that works.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Series by their labels, `name{label="value",…}` without `db`, each with its samples: milliseconds and value.
pub type Matrix = BTreeMap<String, Vec<(i64, f64)>>;

impl Client {
    /// Opens the connection.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the daemon listens");
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time-out can be set");
        stream.set_nodelay(true).expect("Nagle can be switched off");
        Client { stream: BufReader::new(stream) }
    }

    /// [`Self::connect`], where nobody may take it within `time`.
    pub fn try_connect(address: SocketAddr, time: Duration) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, time)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// From now on an answer that takes longer is an error.
    pub fn give_up_after(&mut self, time: Duration) {
        self.stream.get_mut().set_read_timeout(Some(time)).expect("a time-out can be set");
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        self.stream.get_mut().shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let status = self.line()?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = code.ok_or_else(|| io::Error::other(format!("not a status line: {status:?}")))?;
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = headers.get("content-length") {
            body.resize(length.parse().map_err(io::Error::other)?, 0);
            self.stream.read_exact(&mut body)?;
        }
        Ok(Answer { status, headers, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_string())
    }

    /// One request with a body of known length, and its answer.
    pub fn try_post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        // In one piece: a second packet may meet a closed connection, and then the answer would be lost.
        self.send(&[head.as_bytes(), body].concat())?;
        self.answer()
    }

    /// [`Self::try_post`] where an answer has to come.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_post(path, headers, body).unwrap_or_else(|error| panic!("no answer to POST {path}: {error}"))
    }

    /// A GET, and its answer.
    pub fn get(&mut self, path: &str) -> Answer {
        let sent = self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let answer = sent.and_then(|()| self.answer());
        answer.unwrap_or_else(|error| panic!("no answer to GET {path}: {error}"))
    }

    /// Writes lines that are all good, with times in milliseconds, to the database `story`.
    pub fn write(&mut self, lines: &str) {
        let answer = self.post("/write?db=story&precision=ms", &[], lines.as_bytes());
        assert_eq!((answer.status, answer.text()), (204, ""), "a write of good lines");
    }

    /// An admin action; it has to succeed.
    pub fn admin(&mut self, path: &str) -> Value {
        let answer = self.post(path, &[], b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The whole answer to a query; it has to succeed.
    pub fn ask(&mut self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = self.post(path, &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes());
        assert_eq!(answer.status, 200, "{path} {parameters:?}: {}", answer.text());
        answer.json()
    }

    /// An instant query at a time in milliseconds: the series of a vector (one sample each) or of a matrix.
    pub fn query(&mut self, query: &str, at_ms: i64) -> Matrix {
        let answer = self.ask("/api/v1/query", &[("query", query), ("time", &seconds(at_ms))]);
        assert_eq!(answer.get("warnings"), None, "{query}");
        matrix(&answer)
    }

    /// A range query, times and step in milliseconds.
    pub fn query_range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Matrix {
        let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        let answer = self.ask("/api/v1/query_range", &parameters);
        assert_eq!(answer.get("warnings"), None, "{query}");
        matrix(&answer)
    }

    /// The one number that an instant query comes to; 0 for an empty answer.
    pub fn number(&mut self, query: &str, at_ms: i64) -> f64 {
        let found = self.query(query, at_ms);
        assert!(found.len() <= 1, "{query}: {found:?}");
        found.into_values().next().map_or(0.0, |samples| samples[0].1)
    }

    /// One of the daemon's own metrics, named with its labels as on the page; 0 where it is not there.
    pub fn metric(&mut self, name: &str) -> f64 {
        let page = self.get("/metrics");
        let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a metric's value is a number"))
    }
}

/// Milliseconds as the seconds that the API wants.
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// The series of an answer.
pub fn matrix(answer: &Value) -> Matrix {
    let mut series = Matrix::new();
    for one in answer["data"]["result"].as_array().expect("the result is a list") {
        let labels = one["metric"].as_object().expect("labels are an object");
        let name = labels.get("__name__").and_then(Value::as_str).unwrap_or("");
        let pairs = labels.iter().filter(|(label, _)| *label != "__name__" && *label != "db");
        let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value}")).collect();
        let samples = match one.get("values") {
            Some(values) => values.as_array().expect("values are a list").iter().map(sample).collect(),
            None => vec![sample(&one["value"])],
        };
        let before = series.insert(format!("{name}{{{}}}", pairs.join(",")), samples);
        assert!(before.is_none(), "a series twice in one answer: {one}");
    }
    series
}

fn sample(pair: &Value) -> (i64, f64) {
    let time = pair[0].as_f64().expect("a time is a number");
    let value = pair[1].as_str().expect("a value is text").parse().expect("that text is a number");
    ((time * 1000.0).round() as i64, value)
}
