//! The programs are in `src/bin`. This library is empty: it only runs the programs of the repository's
//! README as doctests.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
