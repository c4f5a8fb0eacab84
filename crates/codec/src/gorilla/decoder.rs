//! Reads what `tsz` has written. Its own decoder asks for its bits one by one, and each can fail; this one looks at as many
//! at once as a sample's time or value may begin with, and asks at the end of a sample whether there were so many. A test
//! holds the two together.
//!
//! What most of a chunk is made of, samples one and the same step apart, has a loop of its own.

use std::hint::select_unpredictable as select;

/// Widths of a delta of deltas, by the number of ones in front of it, of which there is one at least.
const WIDTHS: [u32; 4] = [7, 9, 12, 32];

/// Bits that [`Decoder::peek`] shows at least, one of them spent.
const PEEKED: u32 = 56;

/// Bits that begin with a sample whose step is the last one begin with 0: from here on they tell of another value, and from
/// here on of a window for it.
const CHANGED: u64 = 0b010 << 61;
const RENEWED: u64 = 0b011 << 61;

/// Bits that [`Decoder::steady`] can go on by without reading memory again.
const AHEAD: u32 = 57;

/// The samples of a chunk, from the front.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
    time: u64,
    delta: u64,
    value: u64,
    /// Zeros around the window of the values.
    leading: u32,
    trailing: u32,
}

impl<'a> Decoder<'a> {
    /// Reads the first sample. `None` where the bytes end before it does, or are those of a stream without samples.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder { bytes, at: 0, time: 0, delta: 0, value: 0, leading: 0, trailing: 0 };
        let (start, none, delta) = (decoder.take(64), decoder.take(1), decoder.take(14));
        decoder.value = decoder.take(64);
        decoder.delta = delta;
        decoder.time = start.wrapping_add(delta);
        (none == 0 && decoder.is_within()).then_some(decoder)
    }

    /// The sample that was read last: its time as `tsz` has it, and the bits of its value.
    #[inline]
    pub fn sample(&self) -> (u64, u64) {
        (self.time, self.value)
    }

    /// Milliseconds between the last two.
    #[inline]
    pub fn delta(&self) -> i64 {
        self.delta as i64
    }

    /// Whether the next one is as far from the last as that from the one before it, where there is one.
    #[inline]
    pub fn is_steady(&self) -> bool {
        self.bytes.get(self.at / 8).is_some_and(|byte| byte << (self.at % 8) & 0x80 == 0)
    }

    /// Reads on while samples come in the same step, until `values` is full. Returns how many came; what is near the end,
    /// or makes no sense, is left for [`Self::advance`].
    ///
    /// Where the next sample begins depends on what this one is, so nothing is as dear as the way from one to the other:
    /// it leads over a few instructions here, and over memory only where a value is wide.
    pub fn steady(&mut self, values: &mut [f64]) -> usize {
        let (mut leading, mut width) = (self.leading, 64 - self.leading - self.trailing);
        let Some(mut bits) = self.whole(self.at) else { return 0 };
        let mut count = 0;
        for slot in values {
            // What comes behind `bits`.
            let next = self.bytes.get(self.at / 8 + 8..self.at / 8 + 16).and_then(|next| next.first_chunk());
            let Some(next) = next.map(|next| u64::from_be_bytes(*next) << (self.at % 8)) else { break };
            if bits >> 63 != 0 {
                break;
            }
            // No processor could guess which of the three cases a value is.
            let (changed, renewed) = (bits >= CHANGED, bits >= RENEWED);
            let new_leading = select(renewed, (bits << 3 >> 58) as u32, leading);
            let new_width = select(renewed, (bits << 9 >> 58) as u32 + 1, width);
            if new_leading + new_width > 64 {
                break;
            }
            let header = select(renewed, 15, 3);
            let spent = select(changed, header + new_width, 2);
            let xor = if spent <= AHEAD {
                let xor = bits << header;
                bits = bits << spent | next >> (64 - spent);
                xor
            } else {
                let xor = bits << header | next >> (64 - header);
                let Some(window) = self.whole(self.at + spent as usize) else { break };
                bits = window;
                xor
            };
            let unused = new_width.wrapping_neg() % 64;
            let xor = xor >> unused << (unused.wrapping_sub(new_leading) % 64);
            self.value ^= select(changed, xor, 0);
            self.at += spent as usize;
            (leading, width) = (new_leading, new_width);
            *slot = f64::from_bits(self.value);
            count += 1;
        }
        (self.leading, self.trailing) = (leading, 64 - width - leading);
        self.time = self.time.wrapping_add(self.delta.wrapping_mul(count as u64));
        count
    }

    /// Reads the next one. `None` where the bytes end, or do not make sense.
    #[inline]
    pub fn advance(&mut self) -> Option<()> {
        let mut bits = self.peek();
        if bits >> 63 == 0 {
            self.at += 1;
            bits <<= 1;
        } else {
            self.step(bits)?;
            bits = self.peek();
        }
        self.time = self.time.wrapping_add(self.delta);

        // Which of the three cases a value is has no pattern that a processor could guess: so all are one, by arithmetic.
        let changed = (bits >> 63) as u32;
        let renewed = changed & (bits >> 62) as u32;
        let (leading, width) = ((bits << 2 >> 58) as u32, (bits << 8 >> 58) as u32 + 1);
        if leading + width > 64 && renewed == 1 {
            return None;
        }
        let new = renewed.wrapping_neg();
        self.leading = (leading & new) | (self.leading & !new);
        self.trailing = (64u32.wrapping_sub(leading + width) & new) | (self.trailing & !new);
        let header = 1 + changed + 12 * renewed;
        let width = (64 - self.leading - self.trailing) & changed.wrapping_neg();
        let xor = if header + width <= PEEKED {
            self.at += (header + width) as usize;
            (bits << header) >> 1 >> (63 - width) // of no bits, nothing
        } else {
            self.at += header as usize;
            self.take(width)
        };
        self.value ^= xor << self.trailing;
        self.is_within().then_some(())
    }

    /// Takes a delta of deltas that is not zero from the front of `bits`.
    fn step(&mut self, bits: u64) -> Option<()> {
        let ones = bits.leading_ones().min(4);
        let (width, header) = (WIDTHS[ones as usize - 1], if ones == 4 { 4 } else { ones + 1 });
        let step = (bits << header) >> (64 - width);
        if ones == 4 && step == 0 {
            return None; // the marker for the end of a stream
        }
        // In two's complement, but for the highest bit alone, which is positive.
        let sign = if step > 1 << (width - 1) { u64::MAX << width } else { 0 };
        self.delta = self.delta.wrapping_add(step | sign);
        self.at += (header + width) as usize;
        Some(())
    }

    /// Whether all that was read was there.
    #[inline]
    fn is_within(&self) -> bool {
        self.at <= self.bytes.len() * 8
    }

    /// The next 57 bits at least, from the highest down; zeros behind the end.
    #[inline]
    fn peek(&self) -> u64 {
        self.window(self.at / 8) << (self.at % 8)
    }

    /// Takes `width` bits, 1 to 64; zeros behind the end.
    #[inline]
    fn take(&mut self, width: u32) -> u64 {
        let (byte, shift) = (self.at / 8, (self.at % 8) as u32);
        let mut bits = self.window(byte) << shift;
        if width > 64 - shift {
            bits |= u64::from(self.bytes.get(byte + 8).copied().unwrap_or(0)) >> (8 - shift);
        }
        self.at += width as usize;
        bits >> (64 - width)
    }

    /// The 64 bits from a bit on; `None` near the end.
    #[inline]
    fn whole(&self, at: usize) -> Option<u64> {
        let (first, rest) = self.bytes.get(at / 8..at / 8 + 9)?.split_first_chunk::<8>()?;
        let shift = at % 8;
        Some(u64::from_be_bytes(*first) << shift | u64::from(*rest.first()?) >> (8 - shift))
    }

    /// 64 bits from a byte on; zeros behind the end.
    #[inline]
    fn window(&self, byte: usize) -> u64 {
        match self.bytes.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(window) => u64::from_be_bytes(*window),
            None => {
                let mut window = [0u8; 8];
                let rest = self.bytes.get(byte..).unwrap_or_default();
                window[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(window)
            }
        }
    }
}
