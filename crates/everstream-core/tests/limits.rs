//! Limits, memory and sizes.

mod memory;
mod verdicts;
