//! What every handle has: a pointer that is never null and one function that frees it.

/// Declares a handle. `Send` is true of all: a handle keeps no context, has no state of
/// its thread, and may be freed by any. None is `Sync` unless its own file says why.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $free:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            pub(crate) raw: std::ptr::NonNull<robust_sys::$raw>,
        }

        unsafe impl Send for $name {}

        impl Drop for $name {
            fn drop(&mut self) {
                unsafe { robust_sys::$free(self.raw.as_ptr()) }
            }
        }

        #[allow(dead_code)]
        impl $name {
            fn ptr(&self) -> *mut robust_sys::$raw {
                self.raw.as_ptr()
            }
        }
    };
}
pub(crate) use handle;
