//! Range headers (RFC 9110, 14): one range of bytes; anything else is answered with the whole file.

/// What a Range header asks for of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// Nothing of it: 416.
    Beyond,
}

/// Reads a header against a file's size.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|header| header.trim().strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>())
    };
    match (number(first.trim()), number(last.trim())) {
        // Digits that overflow mean more than there is.
        (Some(Err(_)), _) => Wanted::Beyond,
        (Some(Ok(first)), _) if first >= size => Wanted::Beyond,
        (Some(Ok(first)), None) if last.trim().is_empty() => Wanted::Part(first, size - 1),
        (Some(Ok(first)), Some(last)) => match last.unwrap_or(u64::MAX).min(size - 1) {
            last if last < first => Wanted::Whole,
            last => Wanted::Part(first, last),
        },
        (None, Some(last)) if first.trim().is_empty() => match last.unwrap_or(u64::MAX) {
            0 => Wanted::Beyond,
            _ if size == 0 => Wanted::Beyond,
            length => Wanted::Part(size - length.min(size), size - 1),
        },
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        let cases = [
            (None, Wanted::Whole),
            (Some("bytes=0-9"), Wanted::Part(0, 9)),
            (Some("bytes=90-200"), Wanted::Part(90, 99)),
            (Some("bytes=50-"), Wanted::Part(50, 99)),
            (Some("bytes=-10"), Wanted::Part(90, 99)),
            (Some("bytes=-1000"), Wanted::Part(0, 99)),
            (Some("bytes=100-"), Wanted::Beyond),
            (Some("bytes=-0"), Wanted::Beyond),
            (Some("bytes=99999999999999999999999-"), Wanted::Beyond),
            (Some("bytes=9-2"), Wanted::Whole),
            (Some("bytes=0-1,5-6"), Wanted::Whole),
            (Some("lines=0-1"), Wanted::Whole),
            (Some("bytes=x-1"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 100), expected, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_inside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in 0u64..1000) {
            if let Wanted::Part(first, last) = wanted(Some(&header), size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
