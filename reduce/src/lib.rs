//! Dimension reduction and clustering: numbers in, numbers out.
//!
//! Every function takes plain matrices of `f32`, one row per object and one column per quantity, and gives plain
//! matrices back. Nothing here reads files, knows names or units, or opens windows. All methods are seeded and give
//! the same bits for any number of threads: work is split into fixed chunks whose sums are added in chunk order.
//!
//! Start at [`embed`] (a map of the rows), [`kmeans`], [`mixture`] and [`Density`] (groups), [`lof`] and [`Forest`] (what is
//! odd), [`quality`] (how far a map can be trusted), [`nuisance`] (what else explains it), [`scale`] (columns made
//! comparable), [`prepare`] (what to do with them before) and [`rule`] (a readable description of some rows). One [`Graph`] of neighbours serves them all.
mod affinity;
mod autoencoder;
mod cells;
mod embed;
mod error;
mod feed;
pub mod gpu;
mod grow;
mod hdbscan;
mod index;
mod kdtree;
mod kernel;
mod kmeans;
mod lanes;
mod level;
mod memory;
mod mixture;
mod model;
mod monitor;
mod neighbours;
mod nuisance;
mod outlier;
mod pacmap;
mod pca;
mod placer;
pub mod prepare;
mod product;
mod quality;
pub mod rule;
mod scale;
mod tsne;
mod umap;

pub use embed::{Embedding, Method, Params, Start, embed, embed_on, embed_with_graph, go_on};
pub use error::Error;
pub use hdbscan::{Clusters, Cut, Density, Selection, hdbscan};
pub use kmeans::{KMeans, kmeans};
pub use memory::{fits, memory};
pub use mixture::{Covariance, Membership, Mixture, mixture, mixtures};
pub use model::{Model, Placement};
pub use monitor::{Monitor, Progress, Quiet};
pub use neighbours::{Graph, Neighbours, Search, neighbours};
pub use nuisance::{Influence, Target, information, nuisance};
pub use outlier::{Forest, Lof, lof, nearest_to};
pub use pca::{Pca, pca};
pub use placer::Placer;
pub use quality::{Judgement, Quality, divergence, judge, label_accuracy, quality, quality_with_graph, trustworthiness};
pub use scale::{Scale, Scaler, scale};
