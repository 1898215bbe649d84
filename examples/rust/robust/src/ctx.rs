//! The context: errors, seed, threads, deadline, progress, remarks and cancel.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_char, c_void, CStr};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{null_mut, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use robust_sys::*;

use crate::error::{shape, text, Error, Result};

type Step = dyn FnMut(&str, i64, i64) -> bool + Send;
type Line = dyn FnMut(i32, &str) + Send;

/// What a callback left behind on this thread, which is the one that called the library.
pub(crate) enum Left {
    Panic(Box<dyn Any + Send>),
    Error(Error),
}

thread_local! {
    static LEFT: RefCell<Option<Left>> = const { RefCell::new(None) };
}

/// Keep what a callback left, the first of it, until the call has returned.
pub(crate) fn leave(what: Left) {
    LEFT.with(|left| {
        left.borrow_mut().get_or_insert(what);
    });
}

/// Run what C called, which a panic must not cross: it is kept and goes on when the call
/// has returned. What `run` answers, or `failed`.
pub(crate) fn guard<R>(failed: R, run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        leave(Left::Panic(panic));
        failed
    })
}

unsafe extern "C" fn told(
    user: *mut c_void,
    stage: *const c_char,
    done: i64,
    total: i64,
) -> i32 {
    let step = &mut *user.cast::<Box<Step>>();
    let stage = CStr::from_ptr(stage).to_string_lossy();
    guard(1, || i32::from(step(&stage, done, total)))
}

unsafe extern "C" fn remarked(user: *mut c_void, level: i32, line: *const c_char) {
    let told = &mut *user.cast::<Box<Line>>();
    let line = CStr::from_ptr(line).to_string_lossy();
    guard((), || told(level, &line));
}

/// A pointer that a [`Canceller`] may use while its lock is held; null once the context
/// is gone.
#[derive(Debug)]
struct Gate(Mutex<*mut rob_ctx>);

// rob_ctx_cancel may be called on any thread; nothing else is reached through a gate.
unsafe impl Send for Gate {}
unsafe impl Sync for Gate {}

/// Stops a context's running call from another thread; outlives the context harmlessly.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Gate>);

impl Canceller {
    /// Ask the running call, or else the next one, to stop with what it has.
    pub fn cancel(&self) {
        let raw = (self.0).0.lock().unwrap_or_else(PoisonError::into_inner);
        unsafe { rob_ctx_cancel(*raw) }
    }
}

/// One thread's workspace, and the first argument of every call that can fail.
pub struct Ctx {
    raw: NonNull<rob_ctx>,
    gate: Arc<Gate>,
    progress: *mut Box<Step>,
    log: *mut Box<Line>,
    stopped: bool,
}

// The library keeps nothing in the thread, and a callback is Send itself. Not Sync: a
// context is used by one thread at a time.
unsafe impl Send for Ctx {}

impl Ctx {
    /// A context: seed 0, one thread, no cap, no deadline.
    pub fn new() -> Result<Ctx> {
        let mut out = null_mut();
        let code = unsafe { rob_ctx_create(&mut out) };
        let raw = NonNull::new(out).filter(|_| code >= 0).ok_or_else(|| Error {
            code,
            text: "ctx: no memory for a context".into(),
        })?;
        let gate = Arc::new(Gate(Mutex::new(out)));
        Ok(Ctx { raw, gate, progress: null_mut(), log: null_mut(), stopped: false })
    }

    pub fn set_seed(&mut self, seed: u64) -> Result<()> {
        self.call(|ctx| unsafe { rob_ctx_set_seed(ctx, seed) })
    }

    /// Threads that work on one call; 0: one for every processor.
    pub fn set_threads(&mut self, workers: i32) -> Result<()> {
        self.call(|ctx| unsafe { rob_ctx_set_threads(ctx, workers) })
    }

    /// Cap of plans and workspaces in bytes; 0: none.
    pub fn set_memory(&mut self, bytes: i64) -> Result<()> {
        self.call(|ctx| unsafe { rob_ctx_set_memory(ctx, bytes) })
    }

    /// Stop calls still running so many seconds from now; 0: no deadline.
    pub fn set_deadline(&mut self, seconds: f64) -> Result<()> {
        self.call(|ctx| unsafe { rob_ctx_set_deadline(ctx, seconds) })
    }

    /// An option by name whose value is a word, such as "isa".
    pub fn set_text(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (text("name", name)?, text("value", value)?);
        self.call(|ctx| unsafe { rob_ctx_set_text(ctx, name.as_ptr(), value.as_ptr()) })
    }

    /// Have long calls tell the stage and how many of how many are done; `true` stops
    /// the call. A panic in `step` stops it too and goes on when it has returned.
    pub fn set_progress<F>(&mut self, step: F) -> Result<()>
    where
        F: FnMut(&str, i64, i64) -> bool + Send + 'static,
    {
        self.tell(Box::into_raw(Box::new(Box::new(step))))
    }

    /// Tell nobody.
    pub fn clear_progress(&mut self) -> Result<()> {
        self.tell(null_mut())
    }

    fn tell(&mut self, fresh: *mut Box<Step>) -> Result<()> {
        let step = if fresh.is_null() { None } else { Some(told as _) };
        let code =
            unsafe { rob_ctx_set_progress(self.raw.as_ptr(), step, fresh.cast()) };
        self.progress = swapped(code, self.progress, fresh);
        self.check(code)
    }

    /// Have the library's remarks: level 0 a warning, 1 what was chosen, 2 details. A
    /// panic in `line` goes on when the call has returned.
    pub fn set_log<F>(&mut self, line: F) -> Result<()>
    where
        F: FnMut(i32, &str) + Send + 'static,
    {
        self.remark(Box::into_raw(Box::new(Box::new(line))))
    }

    /// Drop remarks.
    pub fn clear_log(&mut self) -> Result<()> {
        self.remark(null_mut())
    }

    fn remark(&mut self, fresh: *mut Box<Line>) -> Result<()> {
        let line = if fresh.is_null() { None } else { Some(remarked as _) };
        let code = unsafe { rob_ctx_set_log(self.raw.as_ptr(), line, fresh.cast()) };
        self.log = swapped(code, self.log, fresh);
        self.check(code)
    }

    /// What stops this context's calls from other threads.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.gate.clone())
    }

    /// Whether the last call was cut short by cancel, progress or deadline: its results
    /// are valid as far as they go.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// A status as a result. A panic of a callback goes on here.
    pub(crate) fn check(&mut self, code: rob_status) -> Result<()> {
        self.stopped = code == ROB_STOPPED;
        match LEFT.with(|left| left.borrow_mut().take()) {
            Some(Left::Panic(panic)) => resume_unwind(panic),
            Some(Left::Error(error)) => return Err(error),
            None => {}
        }
        if code >= 0 {
            return Ok(());
        }
        let line = unsafe { CStr::from_ptr(rob_ctx_error(self.raw.as_ptr())) };
        Err(Error { code, text: line.to_string_lossy().into_owned() })
    }

    /// One call that answers a status.
    pub(crate) fn call(
        &mut self,
        run: impl FnOnce(*mut rob_ctx) -> rob_status,
    ) -> Result<()> {
        let code = run(self.raw.as_ptr());
        self.check(code)
    }

    /// One call that makes a handle. `own` takes it first, so that nothing is lost when
    /// a panic goes on.
    pub(crate) fn make<R, H>(
        &mut self,
        own: impl FnOnce(NonNull<R>) -> H,
        run: impl FnOnce(*mut rob_ctx, *mut *mut R) -> rob_status,
    ) -> Result<H> {
        let mut out = null_mut();
        let code = run(self.raw.as_ptr(), &mut out);
        let handle = NonNull::new(out).map(own);
        self.check(code)?;
        handle.ok_or_else(|| Error {
            code: ROB_STOPPED,
            text: "out: stopped, nothing was made".into(),
        })
    }

    /// One answer read by name: asked for its size, then copied.
    pub(crate) fn read(
        &mut self,
        run: impl Fn(*mut rob_ctx, *mut f64, i64, *mut i64) -> rob_status,
    ) -> Result<Vec<f64>> {
        let mut count = 0;
        self.call(|ctx| run(ctx, null_mut(), 0, &mut count))?;
        let mut out = vec![0.0; usize::try_from(count).unwrap_or(0)];
        self.then(|c| {
            c.call(|ctx| run(ctx, out.as_mut_ptr(), out.len() as i64, &mut count))
        })?;
        Ok(out)
    }

    /// The answer `second` of a call that answers in two steps; `stopped` is of the first.
    pub(crate) fn then<T>(
        &mut self,
        second: impl FnOnce(&mut Ctx) -> Result<T>,
    ) -> Result<T> {
        let stopped = self.stopped;
        let answer = second(self)?;
        self.stopped |= stopped;
        Ok(answer)
    }

    /// One text: asked for its size, then copied.
    pub(crate) fn text(
        &mut self,
        run: impl Fn(*mut rob_ctx, *mut c_char, i64, *mut i64) -> rob_status,
    ) -> Result<String> {
        let mut count = 0;
        self.call(|ctx| run(ctx, null_mut(), 0, &mut count))?;
        let mut out = vec![0_u8; usize::try_from(count).unwrap_or(0)];
        self.call(|ctx| run(ctx, out.as_mut_ptr().cast(), count, &mut count))?;
        out.truncate(out.iter().position(|&c| c == 0).unwrap_or(out.len()));
        String::from_utf8(out).or_else(|_| shape("text: it is not UTF-8".into()))
    }

    /// One call that answers `count` numbers.
    pub(crate) fn fill(
        &mut self,
        count: usize,
        run: impl FnOnce(*mut rob_ctx, *mut f64, i64) -> rob_status,
    ) -> Result<Vec<f64>> {
        let mut out = vec![0.0; count];
        self.call(|ctx| run(ctx, out.as_mut_ptr(), out.len() as i64))?;
        Ok(out)
    }
}

/// The callback in force after a setter answered `code`; the other one is dropped.
fn swapped<T: ?Sized>(
    code: rob_status,
    old: *mut Box<T>,
    fresh: *mut Box<T>,
) -> *mut Box<T> {
    let (kept, unused) = if code < 0 { (old, fresh) } else { (fresh, old) };
    if !unused.is_null() {
        drop(unsafe { Box::from_raw(unused) });
    }
    kept
}

impl Drop for Ctx {
    fn drop(&mut self) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = null_mut();
        unsafe { rob_ctx_free(self.raw.as_ptr()) };
        swapped(0, self.progress, null_mut());
        swapped(0, self.log, null_mut());
    }
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

fn constant(line: *const c_char) -> &'static str {
    unsafe { CStr::from_ptr(line) }.to_str().unwrap_or("")
}

/// The library's version, "major.minor.patch".
pub fn version() -> &'static str {
    constant(unsafe { rob_version() })
}

/// What the library's build is, in one line for people.
pub fn build_info() -> &'static str {
    constant(unsafe { rob_build_info() })
}
