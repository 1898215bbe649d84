//! What a failed call says.

use std::ffi::{c_char, CStr, CString};
use std::fmt;
use std::ptr::null;

/// The numbers of [`Error::code`]; `STOPPED` where nothing at all can be answered.
pub mod code {
    pub use robust_sys::{
        ROB_EARGUMENT as ARGUMENT, ROB_ECALLBACK as CALLBACK, ROB_EDOMAIN as DOMAIN,
        ROB_EFORMAT as FORMAT, ROB_EINTERNAL as INTERNAL, ROB_EIO as IO,
        ROB_EMEMORY as MEMORY, ROB_ENUMERIC as NUMERIC, ROB_ESHAPE as SHAPE,
        ROB_EUNSUPPORTED as UNSUPPORTED, ROB_STOPPED as STOPPED,
    };
}

/// A status below zero and the library's line: argument, value, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: i32,
    pub text: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = unsafe { CStr::from_ptr(robust_sys::rob_status_string(self.code)) };
        write!(f, "{}: {}", kind.to_string_lossy(), self.text)
    }
}

impl std::error::Error for Error {}

/// A string for C; one with a zero byte inside is refused here.
pub(crate) fn text(what: &str, value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error {
        code: code::ARGUMENT,
        text: format!("{what}: {value:?} holds a zero byte"),
    })
}

/// What the library would say of a count it cannot check because it sees pointers only.
pub(crate) fn shape<T>(line: String) -> Result<T> {
    Err(Error { code: code::SHAPE, text: line })
}

/// Names k = 0, 1, ... as C answers them, up to the first that is null.
pub(crate) fn names(name: impl Fn(i64) -> *const c_char) -> Vec<String> {
    (0..)
        .map(name)
        .take_while(|name| !name.is_null())
        .map(|name| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
        .collect()
}

/// An array for C, null and 0 for none.
pub(crate) fn array<T>(values: Option<&[T]>) -> (*const T, i64) {
    values.map_or((null(), 0), |v| (v.as_ptr(), v.len() as i64))
}

/// How many steps `numbers` are with `features` each.
pub(crate) fn steps(numbers: usize, features: usize) -> Result<i64> {
    if features == 0 || numbers % features != 0 {
        return shape(format!(
            "x: {numbers} numbers are no whole steps of {features} features"
        ));
    }
    Ok((numbers / features) as i64)
}

/// An index, or -1 for all, none, any.
pub(crate) fn index(i: Option<usize>) -> i64 {
    i.map_or(-1, |i| i64::try_from(i).unwrap_or(i64::MAX))
}
