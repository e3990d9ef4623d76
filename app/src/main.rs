//! The program: its words are read in [`asterism::cli`].

fn main() -> std::process::ExitCode {
    asterism::few_heaps();
    asterism::cli::main()
}
