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

use crate::report::Problem;

/// `what` needs a feature that this command was built without.
fn missing(what: &str, feature: &str) -> Problem {
    Problem::new(format!(
        "{what} isn't available: everstream was built without the feature `{feature}`"
    ))
    .hint(format!(
        "cargo install everstream-cli --features {feature}, or without --no-default-features"
    ))
}
