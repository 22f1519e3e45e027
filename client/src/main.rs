//! The Bellhop client.

fn main() -> std::process::ExitCode {
    bellhop::cli::main()
}
