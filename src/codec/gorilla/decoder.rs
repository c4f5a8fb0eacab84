//! Reads what `tsz` has written. Its own decoder asks for its bits one by one, and each can fail; this one looks at as many
//! at once as a sample's time or value may begin with, and asks at the end of a sample whether there were so many. A test
//! holds the two together.

/// Widths of a delta of deltas, by the number of ones in front of it, of which there is one at least.
const WIDTHS: [u32; 4] = [7, 9, 12, 32];

/// Bits that [`Decoder::peek`] shows at least, one of them spent.
const PEEKED: u32 = 56;

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
