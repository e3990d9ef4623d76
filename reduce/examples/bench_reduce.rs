//! Seconds of a t-SNE map of a file of little-endian f32 values: `bench FILE COLUMNS [METHOD | SETTINGS]`,
//! the settings as JSON, such as `{"method": "tsne", "momentum": 0.8}`.

use asterism_reduce::{Params, Quiet, embed, quality};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, columns, rest @ ..] = &args[..] else { return Err("bench FILE COLUMNS [METHOD | SETTINGS]".into()) };
    let bytes = std::fs::read(file)?;
    let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let columns: usize = columns.parse()?;
    let x = ndarray::Array2::from_shape_vec((data.len() / columns, columns), data)?;
    let mut params = Params::default();
    match rest.first() {
        Some(settings) if settings.starts_with('{') => params = serde_json::from_str(settings)?,
        Some(method) => params.method = method.parse()?,
        None => {}
    }
    let m = embed(x.view(), None, &params, &Quiet)?;
    println!("{} × {}: {:?} {:?}", x.nrows(), x.ncols(), m.seconds, m.figures);
    let q = quality(x.view(), m.coords.view(), 0, &Quiet)?;
    println!(
        "recall {:.4}, trustworthiness {:.4}, continuity {:.4}, triplets {:.4}",
        q.recall_10, q.trustworthiness_15, q.continuity_15, q.triplets
    );
    Ok(())
}
