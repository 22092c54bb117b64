//! Altered tars whose headers add up again.

use crate::alter;
use crate::dice::Dice;

const BLOCK: usize = 512;
/// Where a header has its size, and where its sum.
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;

/// A tar altered as bytes or in what its manifest says, most often with its sums repaired.
pub fn altered(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = match dice.roll(3) {
        0 => alter::bytes(seed, dice),
        1 => with_headers_altered(seed, dice),
        _ => with_first_entry(seed, |contents| alter::json(contents, dice)),
    };
    if !dice.once_in(8) {
        repair(&mut bytes);
    }
    bytes
}

fn with_headers_altered(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let starts = starts(&bytes);
    let Some(start) = starts.get(dice.roll(starts.len())) else { return bytes };
    for _ in 0..=dice.roll(3) {
        let at = start + dice.roll(BLOCK);
        bytes[at] = [0, b'0', b'7', b'5', b'x', 0x80, 0xff, b'/'][dice.roll(8)];
    }
    bytes
}

/// The same tar with another first entry; its size is set, and nothing else.
fn with_first_entry(seed: &[u8], change: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let Some(header) = seed.get(..BLOCK) else { return seed.to_vec() };
    let size = size_of(header);
    let Some(contents) = seed.get(BLOCK..BLOCK + size) else { return seed.to_vec() };
    let new = change(contents);
    let mut bytes = header.to_vec();
    bytes[SIZE].copy_from_slice(format!("{:011o}\0", new.len()).as_bytes());
    bytes.extend_from_slice(&new);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes.extend_from_slice(&seed[(BLOCK + size).next_multiple_of(BLOCK).min(seed.len())..]);
    bytes
}

/// Makes every header's sum right for what it says now.
fn repair(bytes: &mut [u8]) {
    for start in starts(bytes) {
        let header = &mut bytes[start..start + BLOCK];
        header[SUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Where the headers begin, as far as the sizes in them lead.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0_usize;
    while let Some(header) = bytes.get(at..at.saturating_add(BLOCK)) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        starts.push(at);
        at = at.saturating_add(BLOCK).saturating_add(size_of(header).next_multiple_of(BLOCK));
    }
    starts
}

/// What a header says of its entry's size; 0 for what is no octal number.
fn size_of(header: &[u8]) -> usize {
    let digits = std::str::from_utf8(&header[SIZE]).unwrap_or_default();
    let digits = digits.trim_matches(|c: char| c == '\0' || c == ' ');
    // Far past any seed, so that rounding it up cannot pass the end of the numbers.
    usize::from_str_radix(digits, 8).unwrap_or_default().min(1 << 34)
}
