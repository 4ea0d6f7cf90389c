//! What `runner` and `host` share: Chromium, and the files of a compiled program that a page loads.

mod browser;
mod program;

use std::error::Error;

pub use crate::browser::{Browser, Window};
pub use crate::program::{Size, bind, size};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;
