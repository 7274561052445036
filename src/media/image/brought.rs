//! Which bits of a JPEG's coefficients its scans bring: how a file without its end marker is known to be whole.
//!
//! Filled by the gate and by the decoder, each from the scan headers it reads.

/// What came of each component of the frame.
#[derive(Debug)]
pub(super) struct Brought {
    /// For each coefficient, in the order they come in, how many of its lowest bits are still to come; `None` when
    /// nothing of it came.
    missing: [[Option<u8>; 64]; 4],
}

impl Default for Brought {
    /// Nothing came.
    fn default() -> Self {
        Self { missing: [[None; 64]; 4] }
    }
}

impl Brought {
    /// A scan brings these coefficients of a component: how many bits of them were missing before, 0 for a first one, and
    /// how many are after it. Whether that follows from what came before; if not, a scan is lost.
    ///
    /// Components and coefficients that do not exist are out of turn.
    pub(super) fn scan(&mut self, component: usize, (from, to): (usize, usize), high: u8, low: u8) -> bool {
        let Some(missing) = self.missing.get_mut(component) else { return false };
        // The others are built upon the first.
        let founded = from == 0 || missing[0].is_some();
        let Some(band) = missing.get_mut(from..=to) else { return false };
        let in_turn = band.iter().all(|missing| missing.unwrap_or(0) == high);
        band.fill(Some(low));
        founded && in_turn
    }

    /// Whether all bits of so many components came.
    pub(super) fn is_whole(&self, components: usize) -> bool {
        self.missing.iter().take(components).flatten().all(|missing| *missing == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_parts_is_whole_once_the_last_bit_came() {
        let mut brought = Brought::default();
        for (component, band, high, low) in
            [(0, (0, 0), 0, 1), (1, (0, 63), 0, 0), (0, (1, 63), 0, 2), (0, (1, 63), 2, 1), (0, (0, 0), 1, 0)]
        {
            assert!(brought.scan(component, band, high, low));
            assert!(!brought.is_whole(2));
        }
        assert!(brought.scan(0, (1, 63), 1, 0));
        assert!(brought.is_whole(2) && !brought.is_whole(3));
    }

    #[test]
    fn a_scan_that_is_missing_is_noticed_by_the_next_one() {
        let mut brought = Brought::default();
        assert!(!brought.scan(0, (1, 5), 0, 0), "without the first coefficient");
        assert!(brought.scan(1, (0, 0), 0, 0) && brought.scan(1, (1, 63), 0, 3));
        assert!(!brought.scan(1, (1, 63), 2, 1), "a bit was left out");
        assert!(!brought.scan(4, (0, 0), 0, 0) && !brought.scan(1, (0, 64), 0, 0));
    }
}
