//! Proofs that can be written down and proved again.

use robust_sys::*;

use crate::error::{index, text, Error, Result};
use crate::handle::handle;
use crate::{Bound, Ctx, Model, Query};

handle!(
    /// A statement and its reasons, for whoever believes neither the search nor its
    /// writer.
    Certificate, rob_certificate, rob_certificate_free
);

impl Certificate {
    /// Prove series i once more on a ball of this radius, and keep why.
    pub fn prove(
        ctx: &mut Ctx,
        bound: &Bound,
        q: &mut Query,
        i: usize,
        radius: f64,
    ) -> Result<Certificate> {
        let (bound, i) = (bound.raw.as_ptr(), index(Some(i)));
        ctx.make(
            |raw| Certificate { raw },
            |ctx, out| unsafe {
                rob_certificate_create(ctx, bound, q.ptr(), i, radius, out)
            },
        )
    }

    /// Read a certificate; nothing in it is believed yet.
    pub fn load(ctx: &mut Ctx, path: &str) -> Result<Certificate> {
        let path = text("path", path)?;
        ctx.make(
            |raw| Certificate { raw },
            |ctx, out| unsafe { rob_certificate_load(ctx, path.as_ptr(), out) },
        )
    }

    pub fn save(&self, ctx: &mut Ctx, path: &str) -> Result<()> {
        let path = text("path", path)?;
        ctx.call(|ctx| unsafe { rob_certificate_save(ctx, self.ptr(), path.as_ptr()) })
    }

    /// Prove all it says of this model: the margin proved. An error when it is refused,
    /// and when the check was stopped: a check that only began proves nothing.
    pub fn check(&mut self, ctx: &mut Ctx, model: &Model) -> Result<f64> {
        ctx.call(|ctx| unsafe {
            rob_certificate_check(ctx, self.ptr(), model.raw.as_ptr())
        })?;
        let proved = if ctx.stopped() { vec![] } else { self.get(ctx, "proved")? };
        proved.first().copied().ok_or_else(|| Error {
            code: ROB_STOPPED,
            text: "certificate: stopped, nothing is proved".into(),
        })
    }

    /// What it says, by name, such as "radius".
    pub fn get(&self, ctx: &mut Ctx, what: &str) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_certificate_get(ctx, self.ptr(), what.as_ptr(), out, capacity, count)
        })
    }
}
