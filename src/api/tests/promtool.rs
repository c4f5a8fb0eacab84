//! Prometheus' own client against this server.

use super::*;
use std::process::{Command, Stdio};

/// The output of promtool; `None` where it is not installed.
async fn promtool(arguments: Vec<String>) -> Option<String> {
    let run = move || Command::new("promtool").args(arguments).stdin(Stdio::null()).output();
    match tokio::task::spawn_blocking(run).await.unwrap() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{errors}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("promtool cannot be run: {error}"),
    }
}

#[tokio::test]
async fn promtool_reads_our_answers() {
    let stand = Stand::start().await;
    let url = format!("http://{}", stand.address);
    let node = r#"up{db="telegraf", job="node"}"#;
    let web = r#"up{db="other", job="web"}"#;
    for (arguments, want) in [
        (
            vec!["query", "instant", "--time=1435781451.781", &url, "up"],
            format!("{node} => 10 @[1435781451.781]\n{web} => 10 @[1435781451.781]\n"),
        ),
        (vec!["query", "instant", "--time=10", &url, "1.5"], "scalar: 1.5 @[10]\n".to_string()),
        (
            vec![
                "query",
                "range",
                "--start=1435781391",
                "--end=1435781451",
                "--step=1m",
                "--header=x-y=z",
                &url,
                r#"{job="web"}"#,
            ],
            format!("{web} =>\n8 @[1435781391]\n9 @[1435781451]\n"),
        ),
        (
            vec!["query", "series", "--start=1435780000", "--end=1435790000", "--match=up", "--match=load", &url],
            "{__name__=\"load\", path=\"a\\\"\\\\b\"}\n".to_string()
                + "{__name__=\"up\", db=\"other\", job=\"web\"}\n{__name__=\"up\", db=\"telegraf\", job=\"node\"}\n",
        ),
        (vec!["query", "labels", "--start=1435780000", "--end=1435790000", &url, "job"], "node\nweb\n".to_string()),
    ] {
        let Some(output) = promtool(arguments.iter().map(|argument| argument.to_string()).collect()).await else {
            eprintln!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
            return;
        };
        assert_eq!(output, want, "{arguments:?}");
    }
}
