//! A body comes whole or leaves nothing behind, however it is framed, coded, cut off or late; and whoever sends it is told.

use super::*;

#[test]
fn a_body_in_chunks_is_one_body() {
    let mut setup = start();
    let text = format!("a v=1 {TIME_MS}\nb v=2 {TIME_MS}\n");
    let mut request =
        b"POST /write?db=story&precision=ms HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in text.as_bytes().chunks(7) {
        write!(request, "{:x}\r\n", piece.len()).expect("memory takes it");
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    setup.client.send(&request).expect("the daemon listens");
    assert_stored("chunked", &setup.client.answer().expect("the daemon answers"));
    assert_eq!((setup.value("a_v"), setup.value("b_v")), (Some(1.0), Some(2.0)));
}

#[test]
fn bodies_that_cannot_be_taken_leave_nothing_behind() {
    let mut setup = start();
    let good = format!("good v=1 {TIME_MS}\n").into_bytes();
    let long = good.repeat(BODY_BYTES_MAX / good.len() + 1);
    let mut broken = gzip(&good);
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let cut = &gzip(&good)[..20];
    for (name, headers, body, status, word) in [
        ("too long", &[][..], &long[..], 413, "http.max_body_bytes"),
        ("too long inside", &[("Content-Encoding", "gzip")], &gzip(&long), 413, "http.max_body_bytes"),
        ("an unknown coding", &[("Content-Encoding", "br")], &good, 415, "send gzip"),
        ("not gzip", &[("Content-Encoding", "gzip")], &good, 400, "decompressed"),
        ("broken gzip", &[("Content-Encoding", "gzip")], &broken, 400, "decompressed"),
        ("cut gzip", &[("Content-Encoding", "gzip")], cut, 400, "decompressed"),
    ] {
        let mut client = setup.daemon.client();
        let answer = client.post("/write?db=story&precision=ms", headers, body);
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let error = answer.json()["error"].as_str().expect("a sentence").to_string();
        assert!(error.contains(word), "{name}: {error}");
        assert_eq!(setup.everything(), Matrix::new(), "{name}");
    }
}

#[test]
fn a_refusal_that_needs_no_body_reaches_a_sender_who_still_sends() {
    let setup = start();
    let body = "good v=1\n".repeat(100_000);
    let (begin, end) = body.split_at(body.len() / 2);
    let far_too_long = format!("POST /write?db={}", "d".repeat(1000));
    for (request, status, word) in [
        ("POST /api/v2/write?precision=ms", 400, "bucket is required"),
        (&far_too_long, 400, "name"),
        ("POST /write?db=story&precision=weeks", 400, "weeks"),
        ("PUT /write?db=story", 405, "does not take the method PUT"),
        ("POST /nothing", 404, "there is nothing at /nothing"),
    ] {
        let mut client = setup.daemon.client();
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        client.send((head + begin).as_bytes()).expect("the daemon listens");
        std::thread::sleep(Duration::from_millis(50)); // the daemon knows what it will say by now
        client.send(end.as_bytes()).expect("it reads on");
        let answer = client.answer().expect("the answer is not lost");
        assert_eq!(answer.status, status, "{request:.80}: {answer:?}");
        assert!(answer.text().contains(word), "{request:.80}: {}", answer.text());
        assert_eq!(client.get("/ping").status, 204, "{request:.80}: the connection goes on");
    }
}

#[test]
fn a_body_that_ends_early_leaves_nothing_behind() {
    let mut setup = start();
    let lines = format!("good v=1 {TIME_MS}\n").repeat(100);
    for (name, head) in
        [("a length", format!("Content-Length: {}", lines.len() + 1)), ("chunks", "Transfer-Encoding: chunked".into())]
    {
        let mut client = setup.daemon.client();
        let first = if name == "chunks" { format!("{:x}\r\n", lines.len()) } else { String::new() };
        let request =
            format!("POST /write?db=story&precision=ms HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{first}{lines}");
        client.send(request.as_bytes()).expect("the daemon listens");
        client.end();
        if let Ok(answer) = client.answer() {
            assert_eq!(answer.status, 503, "{name}: it may come whole the next time: {answer:?}");
        }
        // The answer, or the end of the connection, comes when the daemon is done with the request.
        assert_eq!(setup.everything(), Matrix::new(), "{name}");
    }
}

#[test]
fn a_body_that_stalls_is_to_be_sent_again() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("http.body_timeout", "1s")]);
    for path in ["/write?db=story", "/api/v2/write?bucket=story", "/api/v3/write_lp?db=story"] {
        let mut client = daemon.client();
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ngood v=1\n");
        client.send(head.as_bytes()).expect("the daemon listens");
        let answer = client.answer().expect("it is answered");
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert_eq!(answer.headers["retry-after"], "2", "{path}");
        assert!(answer.text().contains("within 1 s, the limit of http.body_timeout"), "{path}: {answer:?}");
    }
    let mut client = daemon.client();
    let counted = "sealine_refused_writes_total{protocol=\"http\",reason=\"time\"}";
    assert_eq!(client.metric(counted), 3.0);
    assert_eq!(client.query("good_v", TIME_MS), Matrix::new());
}

#[test]
fn a_body_that_is_too_large_and_stalls_is_told_what_came_first() {
    let data = tempfile::tempdir().expect("a folder for the test");
    let daemon = Daemon::start(data.path(), &[("http.body_timeout", "1s"), ("http.max_body_bytes", "2MiB")]);
    let mut client = daemon.client();
    let head = "POST /write?db=story HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n";
    client.send(head.as_bytes()).expect("the daemon listens");
    client.send("m v=1\n".repeat(500_000).as_bytes()).expect("the daemon listens");
    let answer = client.answer().expect("it is answered");
    assert_eq!((answer.status, answer.text().contains("http.max_body_bytes")), (413, true), "{answer:?}");
    assert_eq!(daemon.client().metric("sealine_refused_writes_total{protocol=\"http\",reason=\"time\"}"), 0.0);
}

#[test]
fn a_small_body_that_unfolds_to_a_huge_one_costs_no_memory() {
    const HUGE: usize = 256 << 20;
    const ALLOWED: u64 = 48 << 20;
    let mut setup = start();
    assert_stored("warm", &setup.post(&[], format!("warm v=1 {TIME_MS}").as_bytes()));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![b'\n'; 1 << 20];
    (0..HUGE / zeros.len()).for_each(|_| bomb.write_all(&zeros).expect("memory takes it"));
    let bomb = bomb.finish().expect("memory takes it");
    let (before, _) = setup.daemon.memory_bytes();
    for _ in 0..4 {
        // Larger than what sockets hold: the client hears of it only if the daemon reads on.
        let answer = setup.daemon.client().post("/write?db=story", &[("Content-Encoding", "gzip")], &bomb);
        assert_eq!(answer.status, 413, "{} bytes for {HUGE}", bomb.len());
    }
    let (_, most) = setup.daemon.memory_bytes();
    assert!(most < before + ALLOWED, "{before} bytes before, {most} at most");
    assert_stored("after", &setup.post(&[], format!("after v=1 {TIME_MS}").as_bytes()));
}

/// C programs send the NUL that ends their buffer, and PowerShell a byte order mark.
#[test]
fn nuls_and_a_byte_order_mark_around_a_body_cost_nothing() {
    let mut setup = start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let time = TIME_MS * 1_000_000;
    for (number, (before, after)) in
        [("\u{feff}", ""), ("", "\0"), ("", "\n\0"), ("\u{feff}", "\r\n\0\0\0"), ("", &*"\0".repeat(1000))]
            .into_iter()
            .enumerate()
    {
        let body =
            |measurement: &str| format!("{before}{measurement}{number} v=1 {time}\nlast{number} v=2 {time}{after}");
        let answer = setup.client.post("/write?db=story", &[], body("http").as_bytes());
        assert_stored(&format!("{before:?} {after:?}"), &answer);
        let answer =
            setup.client.post("/write?db=story", &[("Content-Encoding", "gzip")], &gzip(body("gzip").as_bytes()));
        assert_stored(&format!("{before:?} {after:?} in gzip"), &answer);
        socket.send_to(body("udp").as_bytes(), setup.daemon.udp()).expect("the daemon listens");
        let mut stream = TcpStream::connect(setup.daemon.tcp()).expect("the daemon listens");
        stream.write_all(body("tcp").as_bytes()).expect("the daemon listens");
        drop(stream);
        for protocol in ["http", "gzip", "udp", "tcp"] {
            let series = format!("{protocol}{number}_v");
            eventually(&format!("{series} is there"), || setup.value(&series).filter(|value| *value == 1.0));
        }
    }
    let page = setup.client.get("/metrics");
    let refused: Vec<&str> = page
        .text()
        .lines()
        .filter(|line| line.starts_with("sealine_rejected_lines_total") && !line.ends_with(" 0"))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}
