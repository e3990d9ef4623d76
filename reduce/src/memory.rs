//! How much memory a map takes, told before it is taken.

use crate::embed::{Method, Params, neighbours_of};
use crate::{Error, kernel, pacmap};

/// Bytes that [`crate::embed`] takes at most for a map of `rows` × `columns` numbers beside these: an estimate from the
/// lists, pairs and copies that it makes. Told and measured in MB on 70,000 × 50: t-SNE 252 and 244, UMAP 97 and 81,
/// PaCMAP 154 and 149.
pub fn memory(rows: usize, columns: usize, params: &Params) -> u64 {
    let (n, d) = (rows as u64, columns as u64);
    let dims = params.dims as u64;
    let reduced = params.pca_dims > 0 && columns > params.pca_dims.max(params.dims);
    let width = if reduced { params.pca_dims.max(params.dims) as u64 } else { d };
    // The program's threads and plans.
    let base = 32 << 20;
    let square = base + 16 * d.min(n).min(2048).pow(2);
    let k = neighbours_of(params, rows) as u64;
    // Lists in the order of cells and of rows, and copies of the rows in both.
    let search = n * (12 * k + 12 * width);
    match params.method {
        Method::Pca => square + 12 * n * dims,
        Method::Autoencoder => {
            // Weights, their two moments, gradient and packed copies, and the best so far; a batch's layers.
            let latent = params.dims;
            let way: Vec<u64> =
                std::iter::once(columns).chain(params.layers.iter().copied()).chain([latent]).map(|v| v as u64).collect();
            let weights: u64 = 2 * way.windows(2).map(|s| s[0].saturating_mul(s[1])).fold(0, u64::saturating_add);
            (base + 16 * n * d).saturating_add(weights.saturating_mul(28))
        }
        // Lists, conditional and transposed probabilities, the joint ones; places, moves and gains.
        Method::Tsne => square + 4 * n * width + search.max(n * (33 * k + 28 * dims + 64)),
        Method::Umap => square + 4 * n * width + search.max(n * (46 * k + 24 * dims)),
        Method::Pacmap => {
            let own = if params.neighbours == 0 { pacmap::NEIGHBOURS } else { params.neighbours } as u64;
            square + 4 * n * width + search.max(n * (8 * k + 42 * own + 24 + 24 * dims))
        }
    }
}

/// Says whether such a map fits into `limit` bytes beside its input; 0 = what the system has free.
///
/// # Errors
/// [`Error::TooLarge`] with what it needs.
pub fn fits(rows: usize, columns: usize, params: &Params, limit: u64) -> Result<(), Error> {
    let needs_bytes = memory(rows, columns, params);
    match limit {
        0 => kernel::check_memory(needs_bytes),
        limit if needs_bytes > limit => Err(Error::TooLarge { needs_bytes }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_are_refused_with_what_they_need() {
        let tsne = Params::default();
        let five_million = memory(5_000_000, 10, &tsne);
        assert!((12_000_000_000..20_000_000_000).contains(&five_million), "{five_million}");
        let Err(Error::TooLarge { needs_bytes }) = fits(5_000_000, 10, &tsne, 8_000_000_000) else { panic!("it fits") };
        assert_eq!(needs_bytes, five_million);
        assert!(fits(5_000_000, 10, &tsne, 32_000_000_000).is_ok());
        // A smaller perplexity or another method takes less.
        assert!(memory(5_000_000, 10, &Params { perplexity: 10.0, ..tsne.clone() }) < five_million / 2);
        assert!(memory(5_000_000, 10, &Params { method: Method::Umap, ..tsne.clone() }) < five_million / 3);
        assert!(fits(1, 1, &tsne, 100_000_000).is_ok());
    }
}
