//! Replacements for parts that were not compiled in, with an error that names the feature.
//!
//! | file | without the feature |
//! |---|---|
//! | `jq.rs` | `jq` |
//! | `top.rs` | `top` |

#[cfg(not(feature = "jq"))]
pub(crate) mod jq;
#[cfg(not(feature = "top"))]
pub(crate) mod top;

use crate::report::{Problem, how_to_build};

/// `what` needs a feature that this command was built without.
fn missing(what: &str, feature: &str) -> Problem {
    Problem::new(format!(
        "{what} isn't available: everstream was built without the feature `{feature}`"
    ))
    .hint(how_to_build(feature))
}
