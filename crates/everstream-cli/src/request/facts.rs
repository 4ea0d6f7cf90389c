//! Facts about a request that hints depend on.

use super::headers::{Header, Headers};
use super::{RequestArgs, url};

impl RequestArgs {
    /// The option with the request's credentials, if it has any.
    pub(crate) fn credentials_option(&self) -> Option<&'static str> {
        let in_url = || {
            let rest = match url::has_scheme(&self.url) {
                true => self.url.split_once("://").map_or("", |(_, rest)| rest),
                false => &self.url,
            };
            let authority = rest.split(['/', '?', '#']).next();
            authority.is_some_and(|authority| authority.contains('@'))
        };
        match () {
            () if self.user.is_some() => Some("-u"),
            () if self.oauth2_bearer.is_some() => Some("--oauth2-bearer"),
            () if self.bearer_env.is_some() => Some("--bearer-env"),
            () if !self.bearer_command.is_empty() => Some("--bearer-command"),
            () if self.header("authorization").is_some() => Some("-H"),
            () if in_url() => Some("the URL"),
            () => None,
        }
    }

    /// The value of a header of `-H`. Headers from standard input (`-H @-`) can't be read again.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let options = self.headers.iter().filter(|option| *option != "@-");
        let headers = Headers::new(&options.cloned().collect::<Vec<_>>()).ok()?;
        let values = headers.all().filter_map(|header| match header {
            Header::Set(key, value) if key.eq_ignore_ascii_case(name) => Some(value.clone()),
            _ => None,
        });
        values.last()
    }

    /// The body as JSON, if it is.
    pub(crate) fn json_body(&self) -> Option<serde_json::Value> {
        let (_, body) = self.body.built().ok()?.body.as_ref()?;
        serde_json::from_slice(body).ok()
    }

    /// The option with the credentials for the proxy, if there are any.
    pub(crate) fn proxy_credentials_option(&self) -> Option<&'static str> {
        self.route.credentials_option()
    }

    pub(crate) fn is_http2_only(&self) -> bool {
        self.route.is_http2_only()
    }
}
