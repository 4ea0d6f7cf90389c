//! What is known of a request without sending it, for messages about its answer.

use super::RequestArgs;

impl RequestArgs {
    /// The option that the request's credentials come from, if it has any.
    pub(crate) fn credentials_option(&self) -> Option<&'static str> {
        let in_url = || {
            let authority = self.url.split_once("://").map(|(_, rest)| rest);
            authority
                .and_then(|rest| rest.split(['/', '?', '#']).next())
                .is_some_and(|authority| authority.contains('@'))
        };
        match () {
            () if self.user.is_some() => Some("-u"),
            () if self.bearer_env.is_some() => Some("--bearer-env"),
            () if self.header("authorization").is_some() => Some("-H"),
            () if in_url() => Some("the URL"),
            () => None,
        }
    }

    /// The value of a header of `-H`. Standard input, which `-H @-` reads, can't be read again.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let lines = self.headers.iter().flat_map(|header| {
            let text = match header.strip_prefix('@') {
                None => header.clone(),
                Some("-") => String::new(),
                Some(file) => std::fs::read_to_string(file).unwrap_or_default(),
            };
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        lines
            .filter_map(|line| {
                let (key, value) = line.split_once(':')?;
                let is = key.trim().eq_ignore_ascii_case(name);
                is.then(|| value.trim().to_owned())
            })
            .next_back()
    }

    /// The body as JSON, if it is known and is JSON.
    pub(crate) fn json_body(&self) -> Option<serde_json::Value> {
        let given = self.json.as_deref().or(self.data_binary.as_deref());
        let given = given.or(match &*self.data {
            [one] => Some(one),
            _ => None,
        })?;
        let text = match given.strip_prefix('@') {
            None => given.to_owned(),
            Some("-") => return None,
            Some(file) => std::fs::read_to_string(file).ok()?,
        };
        serde_json::from_str(&text).ok()
    }

    /// Whether `-x` gives the proxy credentials.
    pub(crate) fn has_proxy_credentials(&self) -> bool {
        self.proxy.as_deref().is_some_and(|url| url.contains('@'))
    }

    pub(crate) fn is_http2_only(&self) -> bool {
        self.http2
    }
}
