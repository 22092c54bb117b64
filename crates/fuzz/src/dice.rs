//! Dice that fall the same way in every run.

/// SplitMix64: small, fast, and good enough to pick what to alter.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as this number says.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `below`; 0 when that is 0.
    pub fn roll(&mut self, below: usize) -> usize {
        (self.bits() % below.max(1) as u64) as usize
    }

    /// True once in so many rolls.
    pub fn once_in(&mut self, many: usize) -> bool {
        self.roll(many) == 0
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
