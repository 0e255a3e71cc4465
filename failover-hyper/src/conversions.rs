//! What the builders of clients take for targets and for statuses.

use std::borrow::Cow;

use failover_core::{BuildError, StatusCodes, Target};
use http::{StatusCode, Uri};

/// Targets, the preferred one first: one URL, or a list of them.
///
/// A URL is a text, an [`Uri`] or a [`Target`]. One of the crate `url` is given as its `as_str()`. `M` says which of the two it
/// is, and is found by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a target nor a list of targets",
    label = "expected a URL such as `\"http://host:8080/base\"`, or several",
    note = "a URL is text, a `http::Uri` or a `Target`; a list is an array, a slice, a `Vec` or an iterator of them",
    note = "a `url::Url` is given as its `as_str()`"
)]
pub trait IntoTargets<M>: sealed::Sealed<M> {
    #[doc(hidden)]
    fn each(self, add: &mut dyn FnMut(Result<Target, BuildError>));
}

/// One target.
pub trait AsTarget {
    /// The target.
    ///
    /// # Errors
    ///
    /// The URL is none of a target.
    fn as_target(&self) -> Result<Target, BuildError>;
}

impl AsTarget for str {
    fn as_target(&self) -> Result<Target, BuildError> {
        Target::parse(self)
    }
}

impl AsTarget for String {
    fn as_target(&self) -> Result<Target, BuildError> {
        Target::parse(self)
    }
}

impl AsTarget for Box<str> {
    fn as_target(&self) -> Result<Target, BuildError> {
        Target::parse(self)
    }
}

impl AsTarget for Cow<'_, str> {
    fn as_target(&self) -> Result<Target, BuildError> {
        Target::parse(self)
    }
}

impl AsTarget for Uri {
    fn as_target(&self) -> Result<Target, BuildError> {
        self.clone().try_into()
    }
}

impl AsTarget for Target {
    fn as_target(&self) -> Result<Target, BuildError> {
        Ok(self.clone())
    }
}

impl<T: AsTarget + ?Sized> AsTarget for &T {
    fn as_target(&self) -> Result<Target, BuildError> {
        T::as_target(self)
    }
}

impl<T: AsTarget> sealed::Sealed<One> for T {}

impl<T: AsTarget> IntoTargets<One> for T {
    fn each(self, add: &mut dyn FnMut(Result<Target, BuildError>)) {
        add(self.as_target());
    }
}

impl<I: IntoIterator<Item: AsTarget>> sealed::Sealed<Many> for I {}

impl<I: IntoIterator<Item: AsTarget>> IntoTargets<Many> for I {
    fn each(self, add: &mut dyn FnMut(Result<Target, BuildError>)) {
        self.into_iter().for_each(|target| add(target.as_target()));
    }
}

/// A set of statuses: a [`StatusCodes`], a text such as `5xx, !501`, or a list of numbers or [`StatusCode`]s.
///
/// `M` says which it is, and is found by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of statuses",
    label = "expected one such as `\"5xx, !501\"` or `[502, 503]`",
    note = "it is a `StatusCodes`, a text, or a list of `u16` or `StatusCode`"
)]
pub trait IntoCodes<M>: sealed::SealedCodes<M> {
    #[doc(hidden)]
    fn codes(self) -> Result<StatusCodes, BuildError>;
}

macro_rules! sets {
    ($($set:ty: |$this:ident| $codes:expr,)*) => {
        $(
            impl sealed::SealedCodes<One> for $set {}

            impl IntoCodes<One> for $set {
                fn codes(self) -> Result<StatusCodes, BuildError> {
                    let $this = self;
                    $codes
                }
            }
        )*
    };
}

sets! {
    StatusCodes: |codes| Ok(codes),
    StatusCode: |status| Ok(StatusCodes::from_iter([status])),
    &str: |list| parse(list),
    &String: |list| parse(list),
    String: |list| parse(&list),
}

fn parse(list: &str) -> Result<StatusCodes, BuildError> {
    let expected = "codes (100-999), ranges (501-504) and classes (5xx)";
    list.parse().map_err(|error: failover_core::InvalidCodes| {
        BuildError::new("failover_codes", error.part(), expected)
    })
}

/// The number of one status.
pub trait AsCode {
    /// The number, which may be none of a status.
    fn as_code(&self) -> u16;
}

impl AsCode for u16 {
    fn as_code(&self) -> u16 {
        *self
    }
}

impl AsCode for StatusCode {
    fn as_code(&self) -> u16 {
        self.as_u16()
    }
}

impl<C: AsCode> AsCode for &C {
    fn as_code(&self) -> u16 {
        C::as_code(self)
    }
}

impl<I: IntoIterator<Item: AsCode>> sealed::SealedCodes<Many> for I {}

impl<I: IntoIterator<Item: AsCode>> IntoCodes<Many> for I {
    fn codes(self) -> Result<StatusCodes, BuildError> {
        StatusCodes::from_codes(self.into_iter().map(|code| code.as_code()))
            .map_err(|error| BuildError::new("failover_codes", error.part(), "codes from 100 to 999"))
    }
}

/// One value.
#[derive(Debug)]
pub struct One;

/// A list of values.
#[derive(Debug)]
pub struct Many;

mod sealed {
    pub trait Sealed<M> {}
    pub trait SealedCodes<M> {}
}
