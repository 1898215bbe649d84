//! How robust is this sequence model? librobust for Rust.
//!
//! An attack finds a nearby series with another answer: the distance is at most that. A
//! bound proves that no nearer one exists: the distance is at least that.
//!
//! ```no_run
//! # fn main() -> robust::Result<()> {
//! use robust::{Attack, Bound, Ctx, Data, Model, Norm, Query};
//! let mut ctx = Ctx::new()?;
//! let model = Model::load(&mut ctx, "model.safetensors", None)?;
//! let mut data = Data::new(&mut ctx)?;
//! data.read(&mut ctx, "series.tsv")?;
//! let mut query = Query::new(&mut ctx, &model)?;
//! query.add_data(&mut ctx, &data, 0..data.count())?;
//! query.set_ball(&mut ctx, Norm::L2, f64::INFINITY)?;
//! let upper = Attack::new(&mut ctx, "auto")?.distance(&mut ctx, &mut query)?;
//! let lower = Bound::new(&mut ctx, "auto")?.radius(&mut ctx, &mut query)?;
//! # let _ = (upper, lower); Ok(()) }
//! ```
//!
//! The context comes with every call that can fail: it holds the error line, the seed,
//! the threads, progress and cancel. No handle keeps it, so handles outlive it and move
//! between threads: all are `Send`. A `Model` never changes and is `Sync` too; the
//! others cache or collect, and the borrow checker keeps them with one thread at a time.
//!
//! ```compile_fail
//! fn shared<T: Sync>() {}
//! shared::<robust::Query>();
//! ```
//!
//! A call that was cancelled or out of time is no error: its results are valid as far
//! as they go, and [`Ctx::stopped`] says so.

mod attack;
mod bound;
mod boundary;
mod certificate;
mod condition;
mod ctx;
mod data;
mod diagnosis;
mod error;
mod handle;
mod model;
mod query;
mod report;
mod sampler;
mod spectrum;
mod tape;
mod trainer;

pub use attack::Attack;
pub use bound::Bound;
pub use boundary::Boundary;
pub use certificate::Certificate;
pub use condition::Condition;
pub use ctx::{build_info, version, Canceller, Ctx};
pub use data::{Data, Series};
pub use diagnosis::Diagnosis;
pub use error::{code, Error, Result};
pub use model::{Model, Pullback, Shape};
pub use query::{Direction, Norm, Query, Reference, Units};
pub use report::Report;
pub use sampler::{LogProbability, Sampler, Smoothed};
pub use spectrum::Spectrum;
pub use tape::{Precision, Tape, Var};
pub use trainer::Trainer;
