//! Follows a stream behind OAuth 2.0: every attempt sends a token that is valid then, and a 401 makes
//! it get another one. If the server refuses that too, it gives up.
//!
//! `CLIENT_ID=... CLIENT_SECRET=... token-refresh URL TOKEN-URL`

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use everstream::error_strategy::{self, ErrorStrategy, Reconnect, Verdict};
use everstream::{Action, BoxError, Fault, Http, SseClient, Timestamp};
use serde::Deserialize;

/// A token that expires sooner isn't sent: it is to be valid when it arrives.
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
            // The secret is for this server alone.
            .redirect(reqwest::redirect::Policy::none())
            .build()?,
        url: token_url,
        client: (variable("CLIENT_ID")?, variable("CLIENT_SECRET")?),
        known: Mutex::new(None),
    });

    let source = tokens.clone();
    let http = Http::new(url).before_attempt(move |attempt| {
        let source = source.clone();
        // An error here counts as a failed attempt, and the error strategy decides.
        async move { Ok::<_, BoxError>(attempt.bearer_token(source.valid().await?)) }
    });
    let mut client = SseClient::builder(http)
        .error_strategy(RefreshOnce {
            otherwise: error_strategy::reconnect(),
            tokens,
            refused: false,
        })
        .build()?;
    while let Some(action) = client.next_action().await {
        match action? {
            Action::Event(event) => println!("{}", event.data()),
            Action::Fault(fault) => eprintln!("again after {fault}"),
            _ => {}
        }
    }
    Ok(())
}

/// Goes on after the first 401 in a row, with another token.
struct RefreshOnce {
    otherwise: Reconnect,
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
            fault => self.otherwise.apply(fault, now),
        }
    }

    /// There is a connection: the token was accepted.
    fn reset(&mut self) {
        self.refused = false;
        self.otherwise.reset();
    }
}

/// Gets tokens by the client credentials grant (RFC 6749, section 4.4), and keeps the newest.
struct Tokens {
    http: reqwest::Client,
    url: String,
    client: (String, String),
    known: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    /// `None`: the server didn't say.
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
        if let Some(token) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner) {
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
        let asked = Instant::now();
        let body = request.send().await?.error_for_status()?.bytes().await?;
        let answer: Answer = serde_json::from_slice(&body)?;
        let text = answer.access_token;
        let expires = answer
            .expires_in
            .and_then(|seconds| asked.checked_add(Duration::from_secs(seconds)));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Token {
            text: text.clone(),
            expires,
        });
        Ok(text)
    }

    fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
