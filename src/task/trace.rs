//! The trace that a task belongs to.

use std::fmt;
use std::str::FromStr;

/// A `traceparent` of the W3C's Trace Context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`, small letters, neither
/// id all zeros (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a W3C traceparent, 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")]
pub struct TraceParentError;

/// The id of a trace, as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        write_hex(&mut digits, self.0);
        f.write_str(text(&digits))
    }
}

impl TraceParent {
    /// A place in a trace, of which the flag says whether it is recorded; a 1 stands in for an id of 0, which is none.
    #[must_use]
    pub fn new(trace: u128, span: u64, sampled: bool) -> Self {
        Self { trace: trace.max(1), span: span.max(1), flags: u8::from(sampled) }
    }

    /// Which trace.
    #[must_use]
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace)
    }

    /// The numbers of the trace and of the place in it.
    #[must_use]
    pub fn numbers(self) -> (u128, u64) {
        (self.trace, self.span)
    }

    /// Whether whoever began the trace records it.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = text.split('-');
        let (Some("00"), Some(trace), Some(span), Some(flags), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TraceParentError);
        };
        if !(hex(trace, 32) && hex(span, 16) && hex(flags, 2)) {
            return Err(TraceParentError);
        }
        match (u128::from_str_radix(trace, 16), u64::from_str_radix(span, 16), u8::from_str_radix(flags, 16))
        {
            (Ok(trace), Ok(span), Ok(flags)) if trace != 0 && span != 0 => Ok(Self { trace, span, flags }),
            _ => Err(TraceParentError),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut whole = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut whole[3..35], self.trace);
        write_hex(&mut whole[36..52], u128::from(self.span));
        write_hex(&mut whole[53..], u128::from(self.flags));
        f.write_str(text(&whole))
    }
}

/// Writes a number into all of `place`, with zeros before it. Every request does, and `{:x}` takes several times as long.
fn write_hex(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
    }
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_else(|_| unreachable!("digits and dashes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_w3c_calls_one_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = good.parse::<TraceParent>().unwrap();
        assert_eq!(parsed.to_string(), good);
        assert_eq!(parsed.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(parsed.is_sampled());
        let zeros = TraceParent::new(0, 0, false);
        assert_eq!(zeros.to_string().parse(), Ok(zeros), "what is made can be read");
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }
}
