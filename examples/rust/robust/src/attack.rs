//! Upper bounds: points that were seen to fail.

use std::ptr::null_mut;

use robust_sys::*;

use crate::error::{index, text, Result};
use crate::handle::handle;
use crate::{Ctx, Query};

handle!(
    /// A method, its options and its last answers.
    Attack, rob_attack, rob_attack_free
);

impl Attack {
    /// An attack by the name of its method, such as "auto" or "universal".
    pub fn new(ctx: &mut Ctx, method: &str) -> Result<Attack> {
        let method = text("method", method)?;
        ctx.make(
            |raw| Attack { raw },
            |ctx, out| unsafe { rob_attack_create(ctx, method.as_ptr(), out) },
        )
    }

    pub fn set(&mut self, ctx: &mut Ctx, name: &str, value: f64) -> Result<()> {
        let name = text("name", name)?;
        ctx.call(|ctx| unsafe { rob_attack_set(ctx, self.ptr(), name.as_ptr(), value) })
    }

    pub fn set_text(&mut self, ctx: &mut Ctx, name: &str, value: &str) -> Result<()> {
        let (name, value) = (text("name", name)?, text("value", value)?);
        ctx.call(|ctx| unsafe {
            rob_attack_set_text(ctx, self.ptr(), name.as_ptr(), value.as_ptr())
        })
    }

    /// U (n): a failing point was seen at this distance; infinite: none was found.
    pub fn distance(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, upper, capacity| unsafe {
            rob_attack_distance(ctx, self.ptr(), q.ptr(), upper, capacity)
        })
    }

    /// The lowest margin (n) seen in the ball; <= 0: broken.
    pub fn margin(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.fill(q.count(), |ctx, margin, capacity| unsafe {
            rob_attack_margin(ctx, self.ptr(), q.ptr(), margin, capacity)
        })
    }

    /// One perturbation (T, D) that breaks many series; "fooled" says how many.
    pub fn universal(&mut self, ctx: &mut Ctx, q: &mut Query) -> Result<Vec<f64>> {
        ctx.call(|ctx| unsafe {
            rob_attack_universal(ctx, self.ptr(), q.ptr(), null_mut(), 0, null_mut())
        })?;
        ctx.then(|ctx| self.get(ctx, "universal", None))
    }

    /// Add delta to every series; "fooled": how many fail, with its interval.
    pub fn transfer(
        &mut self,
        ctx: &mut Ctx,
        q: &mut Query,
        delta: &[f64],
    ) -> Result<Vec<f64>> {
        let count = delta.len() as i64;
        ctx.call(|ctx| unsafe {
            rob_attack_transfer(ctx, self.ptr(), q.ptr(), delta.as_ptr(), count)
        })?;
        ctx.then(|ctx| self.get(ctx, "fooled", None))
    }

    /// An answer by name, such as "point" of series i; `i` None: every series.
    pub fn get(&self, ctx: &mut Ctx, what: &str, i: Option<usize>) -> Result<Vec<f64>> {
        let what = text("what", what)?;
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_attack_get(
                ctx,
                self.ptr(),
                what.as_ptr(),
                index(i),
                out,
                capacity,
                count,
            )
        })
    }
}
