//! Times by their size: 64 steps for each doubling, so that what is read from it is right within 2 %.

const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;

/// How often which time was seen.
#[derive(Clone, Debug)]
pub(crate) struct Hist {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

impl Default for Hist {
    fn default() -> Hist {
        Hist { counts: vec![0; STEPS * (65 - STEP_BITS as usize)], total: 0, most: 0 }
    }
}

impl Hist {
    /// Adds a time.
    pub(crate) fn add(&mut self, time: u64) {
        self.counts[place(time)] += 1;
        self.total += 1;
        self.most = self.most.max(time);
    }

    /// The time that this share of all does not exceed, in µs.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(self.most, time) as f64 / 1e3
    }

    /// How many there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

fn place(time: u64) -> usize {
    if time < STEPS as u64 {
        return time as usize;
    }
    let doublings = 63 - time.leading_zeros() - STEP_BITS;
    STEPS + doublings as usize * STEPS + ((time >> doublings) as usize - STEPS)
}

fn time(place: usize) -> u64 {
    match place.checked_sub(STEPS) {
        None => place as u64,
        Some(beyond) => ((STEPS + beyond % STEPS) as u64) << (beyond / STEPS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_within_2_percent() {
        for wanted in [0, 1, 63, 64, 65, 1_000, 65_535, 1_000_000, 123_456_789, 1 << 40, u64::MAX] {
            let kept = time(place(wanted));
            assert!(kept <= wanted && (wanted - kept) as f64 <= wanted as f64 * 0.02, "{wanted}: {kept}");
        }
    }

    #[test]
    fn quantiles() {
        let mut hist = Hist::default();
        (1..=1_000).for_each(|number| hist.add(number * 1_000));
        let near = |share: f64, wanted: f64| (hist.quantile(share) - wanted).abs() <= wanted * 0.02;
        assert!(near(0.5, 500.0) && near(0.99, 990.0) && near(1.0, 1_000.0), "{hist:?}");
        assert_eq!(hist.total(), 1_000);
        assert!(Hist::default().quantile(0.5) < 1.0);
    }
}
