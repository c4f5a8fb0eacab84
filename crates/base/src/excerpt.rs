//! What messages, logs and lists show of a text that somebody sent: its beginning.

/// At most `bytes_max` bytes of `text`, with a mark where something was cut off.
pub fn excerpt(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_string();
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, bytes_max, want) in
            [("abc", 3, "abc"), ("abcd", 3, "abc…"), ("aä", 2, "a…"), ("ä", 1, "…"), ("", 0, "")]
        {
            assert_eq!(excerpt(text, bytes_max), want);
        }
    }
}
