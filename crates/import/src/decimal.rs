//! Dollars as logs write them, exactly.

use tollgate_routing::NanoUsd;

/// Digits behind the point that are kept: 1e-18 dollars, a millionth of the smallest list price.
const SCALE: i32 = 18;
const ATTO_PER_NANO: u128 = 1_000_000_000;
const ATTO_PER_PICO: u128 = 1_000_000;

/// A decimal amount of dollars, exact to 1e-18. Logs write dollars as decimal numbers; read as binary fractions, ties and
/// sums would come out otherwise than on the bill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExactUsd(u128);

/// An amount in pico-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PicoUsd {
    pub(crate) amount: u64,
    /// Whether nothing was rounded.
    pub(crate) is_exact: bool,
}

/// Why a number is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmountError {
    Negative,
    TooLarge,
    NoNumber,
}

impl ExactUsd {
    /// The amount that a JSON number writes.
    ///
    /// # Errors
    /// [`AmountError`] for a number below zero, one beyond a billion dollars, or no number at all.
    pub(crate) fn parse(number: &str) -> Result<Self, AmountError> {
        let (mantissa, exponent) = match number.find(['e', 'E']) {
            Some(at) => (&number[..at], number[at + 1..].parse::<i32>().map_err(|_| AmountError::NoNumber)?),
            None => (number, 0),
        };
        let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: u128 = 0;
        let mut n_fraction = 0;
        for (position, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
            if !digit.is_ascii_digit() {
                return Err(AmountError::NoNumber);
            }
            // More digits than an amount can have, behind the point: they change nothing.
            if digits > u128::MAX / 100 {
                if position < whole.len() {
                    return Err(AmountError::TooLarge);
                }
                break;
            }
            digits = digits * 10 + u128::from(digit - b'0');
            n_fraction += i32::from(position >= whole.len());
        }
        if whole.is_empty() {
            return Err(AmountError::NoNumber);
        }
        let amount = Self::scaled(digits, exponent.saturating_sub(n_fraction).saturating_add(SCALE))?;
        if is_negative && amount.0 > 0 { Err(AmountError::Negative) } else { Ok(amount) }
    }

    /// `digits * 10^power`.
    fn scaled(digits: u128, power: i32) -> Result<Self, AmountError> {
        const MOST: u128 = 1_000_000_000 * 1_000_000_000_000_000_000;
        if digits == 0 {
            return Ok(Self(0));
        }
        if power < 0 {
            let divisor = 10_u128.checked_pow(power.unsigned_abs());
            let amount = divisor.map_or(0, |divisor| half_even(digits, divisor));
            return if amount <= MOST { Ok(Self(amount)) } else { Err(AmountError::TooLarge) };
        }
        let factor = 10_u128.checked_pow(power.unsigned_abs()).ok_or(AmountError::TooLarge)?;
        digits.checked_mul(factor).filter(|&amount| amount <= MOST).map(Self).ok_or(AmountError::TooLarge)
    }

    /// The nearest amount in whole nano-dollars; of two equally near ones the even one.
    pub(crate) fn nano_usd(self) -> NanoUsd {
        NanoUsd::new(u64::try_from(half_even(self.0, ATTO_PER_NANO)).unwrap_or(u64::MAX))
    }

    /// The nearest amount in whole pico-dollars, and whether it is the same.
    pub(crate) fn pico_usd(self) -> PicoUsd {
        let amount = half_even(self.0, ATTO_PER_PICO);
        PicoUsd { amount: u64::try_from(amount).unwrap_or(u64::MAX), is_exact: amount * ATTO_PER_PICO == self.0 }
    }

    /// In dollars, for display only.
    pub(crate) fn as_usd(self) -> f64 {
        self.0 as f64 * 1e-18
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

fn half_even(value: u128, divisor: u128) -> u128 {
    let (quotient, rest) = (value / divisor, value % divisor);
    let is_up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient + u128::from(is_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, expected: Result<u64, AmountError>) {
        assert_eq!(ExactUsd::parse(number).map(|amount| amount.nano_usd().get()), expected, "{number}");
    }

    #[test]
    fn dollars_become_nano_dollars_by_rounding_half_to_even() {
        check("0", Ok(0));
        check("-0.0", Ok(0));
        check("0.01686", Ok(16_860_000));
        check("12", Ok(12_000_000_000));
        check("5.3879999999999996e-3", Ok(5_388_000));
        check("0.0000000005", Ok(0));
        check("0.0000000015", Ok(2));
        check("0.0000000025", Ok(2));
        check("2.5E-9", Ok(2));
        check("2.500000000000000000001e-9", Ok(2));
        check("2.50000001e-9", Ok(3));
        check("1e-400", Ok(0));
        check("0.00000000000000000000000000000000000000000000000000000001", Ok(0));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        check("-0.01", Err(AmountError::Negative));
        check("1e10", Err(AmountError::TooLarge));
        check("1e400", Err(AmountError::TooLarge));
        check("999999999999999999999999999999999999999999", Err(AmountError::TooLarge));
        check("NaN", Err(AmountError::NoNumber));
        check("\"1\"", Err(AmountError::NoNumber));
    }
}
