//! asterism
fn main(){}
