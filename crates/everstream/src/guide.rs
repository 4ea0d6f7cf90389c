// The pages of `guides/`, for rustdoc, which also runs their code as doctests.
//
// Each page ends with link definitions that lead to files. Those in `links-of-rustdoc.txt`, which lead to
// items, override them here, because the first definition of a link counts.

#![doc = include_str!("../guides/links-of-rustdoc.txt")]
#![doc = include_str!("../guides/README.md")]

macro_rules! pages {
    ($($page:ident $file:literal)*) => {
        $(
            #[doc = include_str!("../guides/links-of-rustdoc.txt")]
            #[doc = include_str!($file)]
            pub mod $page {}
        )*
    };
}

pages! {
    reconnecting "../guides/reconnecting.md"
    errors "../guides/errors.md"
    stopping "../guides/stopping.md"
    browser "../guides/browser.md"
    llm "../guides/llm.md"
    auth "../guides/auth.md"
    post_feeds "../guides/post_feeds.md"
    mcp "../guides/mcp.md"
    many_streams "../guides/many_streams.md"
    outgrowing "../guides/outgrowing.md"
    proxies "../guides/proxies.md"
    custom_sources "../guides/custom_sources.md"
    testing "../guides/testing.md"
    migrating "../guides/migrating.md"
    migrating_python "../guides/migrating_python.md"
    migrating_curl "../guides/migrating_curl.md"
}
