//! Changing bytes at random, the same way in every run.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Runs `body` on changed seeds, `times` times, or for `FUZZ_SECONDS`. The bytes that make it panic are printed.
#[expect(clippy::print_stdout, reason = "how many were tried is what a long run is for")]
pub(crate) fn try_many(seeds: &[Vec<u8>], times: u64, body: fn(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    for seed in seeds {
        body(seed);
    }
    let mut done = 0;
    while until.map_or(done < times, |until| Instant::now() < until) {
        let mut random = StdRng::seed_from_u64(done);
        let bytes = changed(seeds, &mut random);
        if std::panic::catch_unwind(|| body(&bytes)).is_err() {
            panic!("these bytes, made by the number {done}: {}", bytes.escape_ascii());
        }
        done += 1;
    }
    println!("{done} inputs");
}

fn changed(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let until = random.random_range(at..=bytes.len().min(at + 64));
        match random.random_range(0..6) {
            0 => bytes[at..until].fill(random.random()),
            1 => drop(bytes.drain(at..until)),
            2 => {
                let piece = bytes[at..until].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            3 => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..other.len());
                let to = random.random_range(from..=other.len().min(from + 128));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            _ if at < bytes.len() => bytes[at] = random.random(),
            _ => bytes.push(random.random()),
        }
    }
    mended(bytes)
}

/// The check sums of a PNG's chunks made right, so that changes get past them.
fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while bytes.starts_with(b"\x89PNG")
        && let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk)
    {
        let end = at.saturating_add(8).saturating_add(u32::from_be_bytes(*length) as usize);
        let Some(body) = bytes.get(at + 4..end) else { break };
        let sum = crc32fast::hash(body).to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else { break };
        place.copy_from_slice(&sum);
        at = end + 4;
    }
    bytes
}
