//! asterism
