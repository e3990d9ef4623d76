#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| asterism_tests::fuzz::parquet(data));
