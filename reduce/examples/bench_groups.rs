//! Seconds of the density groups beside those of `hdbscan-rs`: `bench_groups FILE COLUMNS MIN_CLUSTER_SIZE MIN_SAMPLES`.

use asterism_reduce::{Density, Quiet, Selection};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, columns, size, samples] = &args[..] else {
        return Err("bench_groups FILE COLUMNS MIN_CLUSTER_SIZE MIN_SAMPLES".into());
    };
    let bytes = std::fs::read(file)?;
    let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let columns: usize = columns.parse()?;
    let (size, samples): (usize, usize) = (size.parse()?, samples.parse()?);
    let x = ndarray::Array2::from_shape_vec((data.len() / columns, columns), data)?;
    let start = Instant::now();
    let d = Density::new(x.view(), samples, None, &Quiet)?;
    let tree = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let cut = d.cut(size, Selection::Mass);
    println!("{} × {columns}: tree {tree:.2} s, cut {:.3} s, length {:.3}", x.nrows(), start.elapsed().as_secs_f64(), d.length());
    let start = Instant::now();
    let wide = x.mapv(f64::from);
    let mut peer = hdbscan_rs::Hdbscan::new(hdbscan_rs::HdbscanParams {
        min_cluster_size: size,
        min_samples: Some(samples),
        ..Default::default()
    });
    peer.fit(&wide.view())?;
    let labels = peer.labels().unwrap_or(&[]);
    let same = labels.iter().zip(&cut.clusters.labels).filter(|(a, b)| a == b).count();
    println!("hdbscan-rs {:.2} s, {same} of {} labels the same", start.elapsed().as_secs_f64(), labels.len());
    Ok(())
}
