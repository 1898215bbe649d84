//! How robust is this model on these series?  usage: quickstart MODEL DATA

use robust::{Attack, Bound, Ctx, Data, Model, Norm, Query, Result};

/// (lower, upper) of the first series: nothing fails within lower, something at upper.
pub fn sandwich(model: &str, data: &str) -> Result<Vec<(f64, f64)>> {
    let ctx = &mut Ctx::new()?;
    let model = Model::load(ctx, model, None)?;
    let mut series = Data::new(ctx)?;
    series.read(ctx, data)?;

    let mut query = Query::new(ctx, &model)?;
    query.add_data(ctx, &series, 0..series.count().min(16))?;
    query.set_ball(ctx, Norm::L2, f64::INFINITY)?; // search without a cap

    let mut attack = Attack::new(ctx, "auto")?;
    attack.set(ctx, "calls", 300.0)?;
    let upper = attack.distance(ctx, &mut query)?; // a failing point so near
    let lower = Bound::new(ctx, "auto")?.radius(ctx, &mut query)?; // none nearer
    Ok(lower.into_iter().zip(upper).collect())
}

#[allow(dead_code)]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, data] = &words[..] else {
        eprintln!("usage: quickstart MODEL DATA");
        std::process::exit(2);
    };
    match sandwich(model, data) {
        Ok(numbers) => {
            for (i, (lower, upper)) in numbers.iter().enumerate() {
                println!("series {i:2}: safe within {lower:.4}, broken at {upper:.4}");
            }
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
