//! How times and sizes are written.

/// Seconds for people: `0.61 s`, `4.2 s`, `3 min 07 s`, `2 h 05 min`.
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    if seconds < 0.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        return format!("{} min {:02} s", whole / 60, whole % 60);
    }
    let minutes = whole.div_ceil(60);
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

/// Bytes for people, in powers of a thousand: `512 B`, `61 MB`, `1.2 GB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit > 0 && value < 9.95 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, seconds};

    #[test]
    fn times_and_sizes_read_well() {
        let times = [0.0, 0.614, 0.999, 4.24, 59.97, 187.0, 7480.0, f64::NAN].map(seconds);
        assert_eq!(
            times,
            ["0.00 s", "0.61 s", "1.0 s", "4.2 s", "1 min 00 s", "3 min 07 s", "2 h 05 min", "?"]
        );
        let sizes = [0, 512, 999, 1_234, 61_000_000, 999_700_000, 1_200_000_000].map(bytes);
        assert_eq!(sizes, ["0 B", "512 B", "999 B", "1.2 kB", "61 MB", "1.0 GB", "1.2 GB"]);
    }
}
