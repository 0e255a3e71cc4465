//! The set of status codes.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use http::StatusCode;

/// A set of HTTP status codes, 100 to 999.
///
/// It is written as a list of codes, ranges and classes, each of which may be negated: `501-504, 429`, or
/// `5xx, !501`. Order does not matter: a code is in the set if one of the parts names it and no negated part does.
/// Where every part is negated, all other codes are in the set. The empty list is the empty set.
///
/// # Examples
///
/// ```
/// use failover_core::StatusCodes;
/// use http::StatusCode;
///
/// let codes: StatusCodes = "5xx, !501".parse()?;
/// assert!(codes.contains(StatusCode::SERVICE_UNAVAILABLE));
/// assert!(!codes.contains(StatusCode::NOT_IMPLEMENTED));
/// assert_eq!(codes.to_string(), "500, 502-599");
///
/// let error = "503, 504-501".parse::<StatusCodes>().unwrap_err();
/// assert!(error.to_string().starts_with("`504-501` is no status code"));
/// # Ok::<(), failover_core::InvalidCodes>(())
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct StatusCodes {
    /// Bit `code - 100`; those above 899 are never set.
    words: [u64; WORDS],
}

impl StatusCodes {
    /// The set without any code.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// The set of these codes.
    ///
    /// # Errors
    ///
    /// Names the first number that is not in 100 to 999.
    pub fn from_codes(codes: impl IntoIterator<Item = u16>) -> Result<Self, InvalidCodes> {
        let mut set = Self::EMPTY;
        for code in codes {
            set.insert(code).ok_or_else(|| InvalidCodes { part: code.to_string() })?;
        }
        Ok(set)
    }

    /// The set of all codes from `first` to `last`, both included.
    pub(crate) fn range(first: u16, last: u16) -> Option<Self> {
        let mut set = Self::EMPTY;
        if first > last {
            return None;
        }
        for code in first..=last {
            set.insert(code)?;
        }
        Some(set)
    }

    /// Whether `status` is in the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, status: StatusCode) -> bool {
        let bit = usize::from(status.as_u16() - FIRST);
        self.words.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Whether no code is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The codes of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = StatusCode> + '_ {
        (FIRST..=LAST)
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .filter(|&status| self.contains(status))
    }

    /// The codes that are in this set or in the `other`.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// The codes that are in this set and not in the `other`.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    /// Adds a code; `None` if there is no such code.
    fn insert(&mut self, code: u16) -> Option<()> {
        let bit = usize::from(code.checked_sub(FIRST).filter(|_| code <= LAST)?);
        *self.words.get_mut(bit / 64)? |= 1 << (bit % 64);
        Some(())
    }

    fn combine(mut self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        for (word, other) in self.words.iter_mut().zip(other.words) {
            *word = with(*word, other);
        }
        self
    }

    /// One part of a list without its negation.
    fn parse_part(part: &str) -> Option<Self> {
        let code = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        if let Some((first, last)) = part.split_once('-') {
            return Self::range(code(first.trim())?, code(last.trim())?);
        }
        match part.as_bytes() {
            [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(class - b'0') * 100;
                Self::range(first, first + 99)
            }
            _ => code(part).and_then(|code| Self::range(code, code)),
        }
    }
}

impl FromStr for StatusCodes {
    type Err = InvalidCodes;

    fn from_str(list: &str) -> Result<Self, InvalidCodes> {
        let (mut named, mut negated, mut only_negated) = (Self::EMPTY, Self::EMPTY, true);
        if list.trim().is_empty() {
            return Ok(Self::EMPTY);
        }
        for part in list.split(',').map(str::trim) {
            let negation = part.strip_prefix('!').map(str::trim_start);
            let codes = Self::parse_part(negation.unwrap_or(part));
            let codes = codes.ok_or_else(|| InvalidCodes { part: part.to_string() })?;
            let set = if negation.is_some() { &mut negated } else { &mut named };
            *set = set.union(codes);
            only_negated &= negation.is_some();
        }
        let all = Self::range(FIRST, LAST).unwrap_or_default();
        Ok(if only_negated { all } else { named }.difference(negated))
    }
}

impl FromIterator<StatusCode> for StatusCodes {
    fn from_iter<I: IntoIterator<Item = StatusCode>>(codes: I) -> Self {
        let mut set = Self::EMPTY;
        for status in codes {
            // A `StatusCode` is always 100 to 999.
            let _ = set.insert(status.as_u16());
        }
        set
    }
}

impl fmt::Display for StatusCodes {
    /// The shortest list of codes and ranges that parses to the same set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut codes = self.iter().map(|status| status.as_u16()).peekable();
        let mut separator = "";
        while let Some(first) = codes.next() {
            let mut last = first;
            while let Some(next) = codes.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ", ";
        }
        Ok(())
    }
}

impl fmt::Debug for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusCodes({self})")
    }
}

/// A list of status codes with a part that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{part}` is no status code (100-999), range (501-504) or class (5xx)")]
pub struct InvalidCodes {
    part: String,
}

impl InvalidCodes {
    /// The part of the list that was not understood.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }
}

const FIRST: u16 = 100;
const LAST: u16 = 999;
const WORDS: usize = 15;
