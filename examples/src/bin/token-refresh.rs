//! Follows a stream behind OAuth 2.0. Every attempt sends a valid token; after a 401 the program requests
//! a new one, and gives up if that is refused too.
//!
//! `CLIENT_ID=... CLIENT_SECRET=... token-refresh URL TOKEN-URL`

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use everstream::error_strategy::{self, ErrorStrategy, Reconnect, Verdict};
use everstream::{Action, BoxError, Fault, Http, SseClient, Timestamp};
use serde::Deserialize;

/// A token that expires sooner isn't sent, because it might expire before it arrives.
const MARGIN: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = follow() => outcome,
        _ = tokio::signal::ctrl_c() => return ExitCode::SUCCESS,
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprint!("token-refresh: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn follow() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token_url)) = (args.next(), args.next()) else {
        return Err("usage: CLIENT_ID=... CLIENT_SECRET=... token-refresh URL TOKEN-URL".into());
    };
    let variable = |name| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    // reqwest's TLS, without the feature `rustls`, uses the provider that the program installs.
    _ = rustls::crypto::ring::default_provider().install_default();
    let tokens = Arc::new(Tokens {
        http: reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            // The secret must not be sent to other servers.
            .redirect(reqwest::redirect::Policy::none())
            .build()?,
        url: token_url,
        client: (variable("CLIENT_ID")?, variable("CLIENT_SECRET")?),
        cached: Mutex::new(None),
    });

    let source = tokens.clone();
    let http = Http::new(url).before_attempt(move |attempt| {
        let source = source.clone();
        // An error fails the attempt, and the error strategy decides whether to retry.
        async move { Ok::<_, BoxError>(attempt.bearer_token(source.valid().await?)) }
    });
    let mut client = SseClient::builder(http)
        .error_strategy(RefreshOnce {
            fallback: error_strategy::reconnect(),
            tokens,
            refused: false,
        })
        .build()?;
    while let Some(action) = client.next_action().await {
        match action? {
            Action::Event(event) => println!("{}", event.data()),
            Action::Fault(fault) => eprintln!("retrying after: {fault}"),
            _ => {}
        }
    }
    Ok(())
}

/// Continues with a new token after the first of consecutive 401s.
struct RefreshOnce {
    fallback: Reconnect,
    tokens: Arc<Tokens>,
    refused: bool,
}

impl ErrorStrategy for RefreshOnce {
    fn apply(&mut self, fault: Option<&Fault>, now: Timestamp) -> Verdict {
        match fault {
            Some(fault) if fault.status() == Some(401) && !self.refused => {
                self.refused = true;
                self.tokens.forget();
                Verdict::Continue
            }
            fault => self.fallback.apply(fault, now),
        }
    }

    /// Called when a connection is established, so the token was accepted.
    fn reset(&mut self) {
        self.refused = false;
        self.fallback.reset();
    }
}

/// Requests tokens with the client credentials grant (RFC 6749, section 4.4), and caches the last one.
struct Tokens {
    http: reqwest::Client,
    url: String,
    client: (String, String),
    cached: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    /// `None` if the server didn't say.
    expires: Option<Instant>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// In seconds.
    expires_in: Option<u64>,
}

impl Tokens {
    async fn valid(&self) -> Result<String, BoxError> {
        if let Some(token) = &*self.cached.lock().unwrap_or_else(PoisonError::into_inner) {
            let soon = Instant::now() + MARGIN;
            if token.expires.is_none_or(|expires| soon < expires) {
                return Ok(token.text.clone());
            }
        }
        let request = self
            .http
            .post(&self.url)
            .basic_auth(&self.client.0, Some(&self.client.1))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let requested = Instant::now();
        let body = request.send().await?.error_for_status()?.bytes().await?;
        let answer: Answer = serde_json::from_slice(&body)?;
        let text = answer.access_token;
        let expires = answer
            .expires_in
            .and_then(|seconds| requested.checked_add(Duration::from_secs(seconds)));
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Token {
            text: text.clone(),
            expires,
        });
        Ok(text)
    }

    fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
