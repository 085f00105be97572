//! The orchestrator: plans and runs the pipeline, and the project's own chores.
//!
//! It links none of the project's crates and nothing heavy: stages are programs, and this one only starts them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod checks;
mod chores;
mod pipeline;
mod process;
mod setup;
mod study;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Runs the pipeline and the project's own chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the pipeline: simulate, classify, synthesize, optimize, evaluate, report
    Pipeline(pipeline::PipelineArgs),
    /// Check everything: formatting, lints, documentation, tidy, a small whole pipeline, all tests
    Test(checks::TestArgs),
    /// Check the layout: floors and edges between crates, heavy dependencies, generated documentation, file lengths
    Tidy(tidy::TidyArgs),
    /// Run the benchmarks and print them as a table
    Bench(chores::BenchArgs),
    /// Make the task sets in datasets/tasks/ anew from their seed
    Tasks(chores::TasksArgs),
    /// Compare every policy on a suite, over several training runs, and write docs/results/
    Study(study::StudyArgs),
    /// Install what a suite needs beside this repository
    Setup(setup::SetupArgs),
    /// Run one stage command and end its whole process group when the orchestrator dies
    #[command(hide = true)]
    Supervise(process::SuperviseArgs),
}

fn main() -> ExitCode {
    let result: Result<ExitCode> = match Cli::parse().command {
        Command::Pipeline(args) => pipeline::run(&args),
        Command::Test(args) => checks::run(&args),
        Command::Tidy(args) => tidy::run(&args),
        Command::Bench(args) => chores::bench(&args),
        Command::Tasks(args) => chores::tasks(&args),
        Command::Study(args) => study::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Supervise(args) => process::supervise(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
