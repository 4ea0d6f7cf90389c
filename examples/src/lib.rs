//! The programs are in `src/bin`. This library is empty: it only runs the programs of the repository's
//! pages as doctests.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/start.md")]
mod start {}
