//! app/archive
