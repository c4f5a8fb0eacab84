//! Reads the series selectors that `match[]` carries.

use super::error::ApiError;
use super::params::Params;
use crate::promql::parse_selector;
use crate::series::Matcher;

/// Bytes that the selectors of one request may have. Each may bring regular expressions, and those cost time.
const SELECTOR_BYTES_MAX: usize = 256 << 10;

/// What is said of a selector that every series passes, in upstream's words.
const NO_MATCHER: &str = "match[] must contain at least one non-empty matcher";

/// The matchers of each `match[]`; an empty list where there is none.
///
/// Errors: `BadData` for text that is not a selector, and for a selector that every series passes.
pub fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let bytes: usize = params.all("match[]").map(str::len).sum();
    if bytes > SELECTOR_BYTES_MAX {
        let what = format!("the selectors have {bytes} bytes together: want {SELECTOR_BYTES_MAX} at most");
        return Err(ApiError::parameter("match[]", what));
    }
    params.all("match[]").map(|text| selector(text).map_err(|what| ApiError::parameter("match[]", what))).collect()
}

/// The matchers of one selector, the metric's name among them.
fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let matchers = parse_selector(text).map_err(|error| error.to_string())?;
    if matchers.iter().all(Matcher::matches_absent) {
        return Err(NO_MATCHER.to_string());
    }
    Ok(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let matchers = selector(text)?;
        Ok(matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn selectors_become_matchers() {
        for (text, want) in [
            ("up", r#"__name__="up""#),
            (r#"up{job="node",cpu!="0"}"#, r#"__name__="up" job="node" cpu!="0""#),
            (r#"{__name__=~"cpu_.*", host!~'a|b'}"#, r#"__name__=~"cpu_.*" host!~"a|b""#),
            (r#"{job=~".+"}"#, r#"job=~".+""#),
            (r#"{job="a\"(b"}"#, r#"job="a\"(b""#),
            ("{job=`a\"(b`}", r#"job="a\"(b""#),
            (r#"{"cpu.usage"}"#, r#"__name__="cpu.usage""#),
            (r#"{"http.status"="ok"}"#, r#"http.status="ok""#),
        ] {
            assert_eq!(written(text), Ok(want.to_string()), "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (text, want) in [
            ("", "1:1: parse error: unexpected end of input, expected series selector such as up{job=\"node\"}"),
            ("up{", "1:4: parse error: "),
            (r#"up{job="#, "1:8: parse error: "),
            (r#"{job=""}"#, "match[] must contain at least one non-empty matcher"),
            (r#"{job=~".*"}"#, "match[] must contain at least one non-empty matcher"),
            ("{}", "match[] must contain at least one non-empty matcher"),
            (r#"{job=~"("}"#, "1:2: parse error: the regular expression \"(\" for label \"job\" cannot be used"),
            ("up offset 1m", "1:4: parse error: unexpected identifier \"offset\" in series selector"),
            ("up @ 5", "1:4: parse error: unexpected \"@\" in series selector"),
            (r#"{a="1"} == 1"#, "1:9: parse error: unexpected \"==\" in series selector"),
            (r#"{a="1" or b="2"}"#, "1:8: parse error: unexpected identifier \"or\" in label matching, expected \",\""),
            ("sum(up)", "1:4: parse error: unexpected \"(\" in series selector"),
            ("up or down", "1:4: parse error: unexpected identifier \"or\" in series selector"),
            ("-up", "1:1: parse error: unexpected \"-\", expected series selector such as"),
            ("up[5m]", "1:3: parse error: unexpected \"[\" in series selector"),
            ("1", "1:1: parse error: unexpected number 1, expected series selector such as"),
        ] {
            let got = written(text).unwrap_err();
            assert!(got.starts_with(want), "{text}: {got}");
        }
    }

    #[test]
    fn a_selector_cannot_nest_and_may_be_long() {
        for part in ["(", "-", "a or ", "a==", "{a=\"b\"} ", "{", "[5m:1m]"] {
            let error = selector(&part.repeat(100_000)).unwrap_err();
            assert!(error.contains("parse error: unexpected"), "{part}: {error}");
        }
        let long = format!("{{{}}}", "a=\"b\",".repeat(100_000));
        assert_eq!(selector(&long).map(|matchers| matchers.len()), Ok(100_000));
    }
}
