//! Programs over tensors: recorded, differentiated, replayed at new inputs.

use robust_sys::*;

use crate::error::{shape, text, Result};
use crate::handle::handle;
use crate::Ctx;

handle!(
    /// A program as data; a derivative is a program on the same tape.
    Tape, rob_tape, rob_tape_free
);

/// A variable of a tape: meaningful with that tape only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Var(pub(crate) rob_var);

/// The precision of the arithmetic; arrays stay f64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Precision {
    F32 = ROB_F32,
    F64 = ROB_F64,
}

impl Tape {
    pub fn new(ctx: &mut Ctx, precision: Precision) -> Result<Tape> {
        ctx.make(
            |raw| Tape { raw },
            |ctx, out| unsafe { rob_tape_create(ctx, precision as i32, out) },
        )
    }

    fn record(
        &mut self,
        ctx: &mut Ctx,
        run: impl FnOnce(*mut rob_ctx, *mut rob_tape, *mut rob_var) -> rob_status,
    ) -> Result<Var> {
        let mut out = -1;
        ctx.call(|ctx| run(ctx, self.ptr(), &mut out))?;
        Ok(Var(out))
    }

    /// A variable that `set` gives its value.
    pub fn input(&mut self, ctx: &mut Ctx, shape: &[i64]) -> Result<Var> {
        self.record(ctx, |ctx, t, out| unsafe {
            rob_tape_input(ctx, t, shape.as_ptr(), shape.len() as i32, out)
        })
    }

    /// Numbers that do not change, row-major.
    pub fn constant(
        &mut self,
        ctx: &mut Ctx,
        values: &[f64],
        dims: &[i64],
    ) -> Result<Var> {
        if dims.iter().product::<i64>() != values.len() as i64 {
            return shape(format!("values: {} numbers for {dims:?}", values.len()));
        }
        self.record(ctx, |ctx, t, out| unsafe {
            let rank = dims.len() as i32;
            rob_tape_constant(ctx, t, values.as_ptr(), dims.as_ptr(), rank, out)
        })
    }

    /// op(operands...).
    pub fn apply(&mut self, ctx: &mut Ctx, op: &str, operands: &[Var]) -> Result<Var> {
        let op = text("op", op)?;
        self.record(ctx, |ctx, t, out| unsafe {
            let count = operands.len() as i32;
            rob_tape_apply(ctx, t, op.as_ptr(), operands.as_ptr().cast(), count, out)
        })
    }

    /// op(operands...) with what the list of operators shows in braces.
    pub fn apply_with(
        &mut self,
        ctx: &mut Ctx,
        op: &str,
        operands: &[Var],
        numbers: &[f64],
    ) -> Result<Var> {
        let op = text("op", op)?;
        self.record(ctx, |ctx, t, out| unsafe {
            rob_tape_apply_with(
                ctx,
                t,
                op.as_ptr(),
                operands.as_ptr().cast(),
                operands.len() as i32,
                numbers.as_ptr(),
                numbers.len() as i32,
                out,
            )
        })
    }

    /// dy/dx of a scalar y.
    pub fn gradient(&mut self, ctx: &mut Ctx, y: Var, x: Var) -> Result<Var> {
        self.record(ctx, |ctx, t, out| unsafe {
            rob_tape_gradient(ctx, t, y.0, x.0, out)
        })
    }

    /// sum_j w_j dy_j/dx.
    pub fn vjp(&mut self, ctx: &mut Ctx, y: Var, x: Var, w: Var) -> Result<Var> {
        self.record(ctx, |ctx, t, out| unsafe {
            rob_tape_vjp(ctx, t, y.0, x.0, w.0, out)
        })
    }

    /// sum_i dy/dx_i v_i.
    pub fn jvp(&mut self, ctx: &mut Ctx, y: Var, x: Var, v: Var) -> Result<Var> {
        self.record(ctx, |ctx, t, out| unsafe {
            rob_tape_jvp(ctx, t, y.0, x.0, v.0, out)
        })
    }

    /// Give an input its value for the runs to come.
    pub fn set(&mut self, ctx: &mut Ctx, x: Var, values: &[f64]) -> Result<()> {
        let count = values.len() as i64;
        ctx.call(|ctx| unsafe {
            rob_tape_set(ctx, self.ptr(), x.0, values.as_ptr(), count)
        })
    }

    /// Compute variables at the inputs set last.
    pub fn run(&mut self, ctx: &mut Ctx, want: &[Var]) -> Result<()> {
        let count = want.len() as i32;
        ctx.call(|ctx| unsafe {
            rob_tape_run(ctx, self.ptr(), want.as_ptr().cast(), count)
        })
    }

    /// The numbers of a variable, row-major.
    pub fn get(&self, ctx: &mut Ctx, y: Var) -> Result<Vec<f64>> {
        ctx.read(|ctx, out, capacity, count| unsafe {
            rob_tape_get(ctx, self.ptr(), y.0, out, capacity, count)
        })
    }
}
