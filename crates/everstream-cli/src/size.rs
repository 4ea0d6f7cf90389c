//! Sizes on the command line.

/// `4096`, `64k`, `8M`, `1G`: bytes, in powers of 1024.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        unit => return Err(format!("{unit:?} isn't one of the units k, M, G")),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("write a size like this: 64k, 8M, 1G, or 4096 for bytes".into());
    }
    let size = number
        .parse()
        .ok()
        .and_then(|count: usize| count.checked_mul(unit));
    match size {
        Some(0) => Err("the size must be at least 1".into()),
        Some(size) => Ok(size),
        None => Err("the size is too large".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("4096", 4096),
            ("64k", 65536),
            ("8M", 8 << 20),
            ("1g", 1 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "k",
            "0",
            "-1",
            "1.5M",
            "1T",
            "+1",
            "1 k",
            "99999999999999999999",
            "99999999999999999G",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
