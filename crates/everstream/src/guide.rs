// The pages of `guides/`, for rustdoc: their code is compiled and run as doctests.
//
// On the repository's pages their links lead to files, by definitions at the end of each page. Here
// they lead to items: of two definitions the first counts, and those of `links-of-rustdoc.txt` come
// first.

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
