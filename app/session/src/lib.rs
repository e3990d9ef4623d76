//! app/session
