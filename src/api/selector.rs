//! Reads the series selectors that `match[]` carries.

use super::error::ApiError;
use super::params::Params;
use sealine_model::Matcher;
use sealine_promql::parse_selector;

/// What is said of a selector that every series passes, in upstream's words.
const NO_MATCHER: &str = "match[] must contain at least one non-empty matcher";

/// The matchers of each `match[]`; an empty list where there is none. Together they may have `bytes_max` bytes, and their
/// regular expressions need `regex_steps_max` steps of automata.
///
/// Errors: `BadData` for text that is not a selector, and for a selector that every series passes.
pub fn selectors(params: &Params, bytes_max: usize, regex_steps_max: u64) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let bytes: usize = params.all("match[]").map(str::len).sum();
    if bytes > bytes_max {
        let what = format!(
            "the selectors have {bytes} bytes together, {bytes_max} are allowed; shorten them or raise \
             `query.max_text_bytes`"
        );
        return Err(ApiError::parameter("match[]", what));
    }
    let mut steps_left = regex_steps_max;
    let selectors = params.all("match[]").map(|text| {
        let matchers = selector(text, steps_left).map_err(|what| ApiError::parameter("match[]", what))?;
        steps_left = steps_left.saturating_sub(matchers.iter().map(Matcher::steps).sum());
        Ok(matchers)
    });
    selectors.collect()
}

/// The matchers of one selector, the metric's name among them.
fn selector(text: &str, regex_steps_max: u64) -> Result<Vec<Matcher>, String> {
    let matchers = parse_selector(text, regex_steps_max).map_err(|error| error.to_string())?;
    if matchers.iter().all(Matcher::matches_absent) {
        return Err(NO_MATCHER.to_string());
    }
    Ok(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealine_model::REGEX_STEPS_MAX;

    fn written(text: &str) -> Result<String, String> {
        let matchers = selector(text, REGEX_STEPS_MAX)?;
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
            let error = selector(&part.repeat(100_000), REGEX_STEPS_MAX).unwrap_err();
            assert!(error.contains("parse error: unexpected"), "{part}: {error}");
        }
        let long = format!("{{{}}}", "a=\"b\",".repeat(100_000));
        assert_eq!(selector(&long, REGEX_STEPS_MAX).map(|matchers| matchers.len()), Ok(100_000));
    }
}
