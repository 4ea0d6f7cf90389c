//! Every option of curl up to version 8.23, and what it does here, in the order of
//! `curl --help all`.

/// What an option of curl does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The same as in curl.
    Same,
    /// It is accepted without effect, because this is what the command does anyway.
    Ignored,
    /// It is refused.
    Refused,
}

pub(crate) struct CurlOption {
    /// `-x, --long <v>`; `<v>` only if the option takes a value.
    pub(crate) line: &'static str,
    pub(crate) meaning: Use,
    /// How it differs from curl, why it has no effect, or what to use instead.
    pub(crate) note: &'static str,
}

impl CurlOption {
    pub(crate) fn takes_value(&self) -> bool {
        self.line.ends_with(" <v>")
    }

    /// With the hyphens: one or two.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.line.trim_end_matches(" <v>").split(", ")
    }
}

const fn same(line: &'static str, note: &'static str) -> CurlOption {
    let meaning = Use::Same;
    CurlOption {
        line,
        meaning,
        note,
    }
}

const fn ignored(line: &'static str, note: &'static str) -> CurlOption {
    let meaning = Use::Ignored;
    CurlOption {
        line,
        meaning,
        note,
    }
}

const fn refused(line: &'static str, note: &'static str) -> CurlOption {
    let meaning = Use::Refused;
    CurlOption {
        line,
        meaning,
        note,
    }
}

const HTTP_ONLY: &str = "only http and https are supported";
const NOTHING: &str = "there is no equivalent";
const SYSTEM: &str = "the system decides this";
const AUTH: &str = "use -u (Basic), --bearer-env or --bearer-command";
const TLS: &str = "TLS 1.2 or newer is negotiated";
const CA: &str = "use --cacert FILE";
const CERT: &str = "use --cert FILE";
const PEM: &str = "use PEM without a password: see openssl x509, openssl pkey";
const HTTPS: &str = "use https:// in the URL";
const PROXY_AUTH: &str = "use -U USER:PASSWORD (--proxy-user)";
const PROXY_TLS: &str = "--cacert and -k apply to https proxies too";
const PROXY_HTTP: &str = "use -x URL; proxies are used over HTTP/1.1";
const MANY: &str = "use `everstream top URL...` for several streams";
const SEE: &str = "use -i (standard output) or -v (standard error)";
const TRACE: &str =
    "use -v for the response, --format json for times, `everstream record` for every byte";
const RESOLVE: &str = "use --resolve HOST:PORT:ADDRESS";
const RESUME: &str = "use --last-event-id ID or --cursor FILE";
const SIGN: &str = "sign the request with another tool; use -H @FILE";
const NO_CLOBBER: &str =
    "use `everstream record`, which refuses to overwrite; -o overwrites, or appends with --cursor";
const BODY: &str = "use -d, --data-binary or --json; multipart isn't supported";
const FILE_NAME: &str = "use -o with the whole path";
const RECORD: &str = "use `everstream record`";
const SHELL: &str = "use the shell: mkdir, umask, 2> FILE, variables, aliases";
const PASSWORD: &str = "use -u USER, with the password in EVERSTREAM_PASSWORD";
const IDLE: &str = "use --read-timeout";

#[rustfmt::skip] // a line each
pub(crate) const OPTIONS: &[CurlOption] = &[
    refused("--abstract-unix-socket <v>", "use --unix-socket PATH"),
    refused("--alt-svc <v>", NOTHING),
    refused("--anyauth", AUTH),
    refused("-a, --append", "use >> FILE, or `everstream record --append`"),
    refused("--aws-sigv4 <v>", SIGN),
    ignored("--basic", "the default"),
    ignored("--ca-native", "the default"),
    same("--cacert <v>", "added to the system's certificates"),
    refused("--capath <v>", CA),
    same("-E, --cert <v>", "PEM, without a password"),
    refused("--cert-status", NOTHING),
    refused("--cert-type <v>", PEM),
    refused("--ciphers <v>", TLS),
    ignored("--compressed", "the default: gzip, br, zstd"),
    refused("--compressed-ssh", HTTP_ONLY),
    refused("-K, --config <v>", SHELL),
    same("--connect-timeout <v>", "0 means the default, 10 s"),
    refused("--connect-to <v>", RESOLVE),
    refused("-C, --continue-at <v>", RESUME),
    same("-b, --cookie <v>", "a file or \"\" also turns on --cookies"),
    refused("-c, --cookie-jar <v>", "use --cookies"),
    refused("--create-dirs", SHELL),
    refused("--create-file-mode <v>", SHELL),
    refused("--crlf", "convert the body first"),
    refused("--crlfile <v>", NOTHING),
    refused("--curves <v>", TLS),
    same("-d, --data <v>", ""),
    same("--data-ascii <v>", ""),
    same("--data-binary <v>", ""),
    same("--data-raw <v>", ""),
    same("--data-urlencode <v>", ""),
    refused("--delegation <v>", AUTH),
    refused("--digest", AUTH),
    ignored("-q, --disable", "there is no configuration file, globbing, NPN or second transfer"),
    refused("--disable-eprt", HTTP_ONLY),
    refused("--disable-epsv", HTTP_ONLY),
    refused("--disallow-username-in-url", "remove the user from the URL"),
    refused("--dns-interface <v>", RESOLVE),
    refused("--dns-ipv4-addr <v>", RESOLVE),
    refused("--dns-ipv6-addr <v>", RESOLVE),
    refused("--dns-servers <v>", RESOLVE),
    refused("--doh-cert-status", RESOLVE),
    refused("--doh-insecure", RESOLVE),
    refused("--doh-url <v>", RESOLVE),
    refused("--dump-ca-embed", CA),
    refused("-D, --dump-header <v>", SEE),
    refused("--ech <v>", TLS),
    refused("--egd-file <v>", SYSTEM),
    refused("--engine <v>", PEM),
    refused("--etag-compare <v>", RESUME),
    refused("--etag-save <v>", RESUME),
    refused("--expect100-timeout <v>", NOTHING),
    ignored("-f, --fail", "the default"),
    ignored("--fail-early", "there is no configuration file, globbing, NPN or second transfer"),
    ignored("--fail-with-body", "the default"),
    refused("--false-start", TLS),
    ignored("--follow", "the default"),
    refused("-F, --form <v>", BODY),
    refused("--form-escape", BODY),
    refused("--form-string <v>", BODY),
    refused("--ftp-account <v>", HTTP_ONLY),
    refused("--ftp-alternative-to-user <v>", HTTP_ONLY),
    refused("--ftp-create-dirs", HTTP_ONLY),
    refused("--ftp-method <v>", HTTP_ONLY),
    refused("--ftp-pasv", HTTP_ONLY),
    refused("-P, --ftp-port <v>", HTTP_ONLY),
    refused("--ftp-pret", HTTP_ONLY),
    refused("--ftp-skip-pasv-ip", HTTP_ONLY),
    refused("--ftp-ssl-ccc", HTTP_ONLY),
    refused("--ftp-ssl-ccc-mode <v>", HTTP_ONLY),
    refused("--ftp-ssl-control", HTTP_ONLY),
    same("-G, --get", ""),
    ignored("-g, --globoff", "there is no configuration file, globbing, NPN or second transfer"),
    refused("--happy-eyeballs-timeout-ms <v>", "it is 250 ms; -4 or -6 selects a family"),
    refused("--haproxy-clientip <v>", NOTHING),
    refused("--haproxy-protocol", NOTHING),
    refused("-I, --head", SEE),
    same("-H, --header <v>", "@FILE is read again for each attempt"),
    same("-h, --help", ""),
    refused("--hostpubmd5 <v>", HTTP_ONLY),
    refused("--hostpubsha256 <v>", HTTP_ONLY),
    refused("--hsts <v>", HTTPS),
    refused("--http0.9", NOTHING),
    same("-0, --http1.0", "sends HTTP/1.1"),
    same("--http1.1", ""),
    same("--http2", "with TLS only; otherwise HTTP/1.1"),
    same("--http2-prior-knowledge", ""),
    same("--http3", "falls back to HTTP/2 or HTTP/1.1"),
    refused("--http3-only", NOTHING),
    refused("--ignore-content-length", NOTHING),
    refused("--httpsig-algo <v>", SIGN),
    refused("--httpsig-headers <v>", SIGN),
    refused("--httpsig-key <v>", SIGN),
    refused("--httpsig-keyid <v>", SIGN),
    same("-i, --include", "`HTTP 200` without a version; an object with --format json"),
    same("-k, --insecure", ""),
    refused("--interface <v>", SYSTEM),
    refused("--ip-tos <v>", SYSTEM),
    refused("--ipfs-gateway <v>", "use the gateway's URL"),
    same("-4, --ipv4", ""),
    same("-6, --ipv6", ""),
    same("--json <v>", "Accept stays text/event-stream"),
    refused("-j, --junk-session-cookies", "this is an option of --jq; session cookies in a -b FILE are sent"),
    refused("--keepalive-cnt <v>", IDLE),
    refused("--keepalive-time <v>", IDLE),
    same("--key <v>", "PEM, without a password"),
    refused("--key-type <v>", PEM),
    refused("--knownhosts <v>", HTTP_ONLY),
    refused("--krb <v>", HTTP_ONLY),
    refused("--libcurl <v>", "see the guides for Rust and Python code"),
    refused("--limit-rate <v>", NOTHING),
    refused("-l, --list-only", HTTP_ONLY),
    refused("--local-port <v>", SYSTEM),
    ignored("-L, --location", "the default"),
    refused("--location-trusted", "use the redirect's target as the URL"),
    refused("--login-options <v>", HTTP_ONLY),
    refused("--mail-auth <v>", HTTP_ONLY),
    refused("--mail-from <v>", HTTP_ONLY),
    refused("--mail-rcpt <v>", HTTP_ONLY),
    refused("--mail-rcpt-allowfails", HTTP_ONLY),
    refused("-M, --manual", "use `everstream man`"),
    refused("--max-filesize <v>", "use --count or --max-event-size"),
    same("--max-redirs <v>", "default 10, not 50"),
    same("-m, --max-time <v>", "ends with exit code 7"),
    refused("--metalink", NOTHING),
    refused("--mptcp", NOTHING),
    refused("--negotiate", AUTH),
    refused("-n, --netrc", PASSWORD),
    refused("--netrc-file <v>", PASSWORD),
    refused("--netrc-optional", PASSWORD),
    refused("-:, --next", MANY),
    refused("--no-alpn", "use --http1.1"),
    ignored("-N, --no-buffer", "the default"),
    refused("--no-clobber", NO_CLOBBER),
    refused("--no-keepalive", NOTHING),
    ignored("--no-npn", "there is no configuration file, globbing, NPN or second transfer"),
    same("--no-progress-meter", "hides the status line"),
    refused("--no-sessionid", NOTHING),
    same("--noproxy <v>", ""),
    refused("--ntlm", AUTH),
    refused("--ntlm-wb", AUTH),
    same("--oauth2-bearer <v>", ""),
    refused("--out-null", FILE_NAME),
    same("-o, --output <v>", "written in the format of --format"),
    refused("--output-dir <v>", FILE_NAME),
    refused("-Z, --parallel", MANY),
    refused("--parallel-immediate", MANY),
    refused("--parallel-max <v>", MANY),
    refused("--parallel-max-host <v>", MANY),
    refused("--pass <v>", PEM),
    refused("--path-as-is", "`.` and `..` in a path are resolved"),
    refused("--pinnedpubkey <v>", CA),
    refused("--post301", "a POST stays a POST after 307 and 308 only"),
    refused("--post302", "a POST stays a POST after 307 and 308 only"),
    refused("--post303", "a POST stays a POST after 307 and 308 only"),
    refused("--preproxy <v>", NOTHING),
    ignored("-#, --progress-bar", "the default"),
    refused("--proto <v>", HTTP_ONLY),
    same("--proto-default <v>", "http or https"),
    refused("--proto-redir <v>", HTTP_ONLY),
    same("-x, --proxy <v>", ""),
    refused("--proxy-anyauth", PROXY_AUTH),
    ignored("--proxy-basic", "the default"),
    refused("--proxy-ca-native", PROXY_TLS),
    refused("--proxy-cacert <v>", PROXY_TLS),
    refused("--proxy-capath <v>", PROXY_TLS),
    refused("--proxy-cert <v>", PROXY_TLS),
    refused("--proxy-cert-type <v>", PROXY_TLS),
    refused("--proxy-ciphers <v>", PROXY_TLS),
    refused("--proxy-crlfile <v>", PROXY_TLS),
    refused("--proxy-digest", PROXY_AUTH),
    refused("--proxy-header <v>", PROXY_AUTH),
    refused("--proxy-http2", PROXY_HTTP),
    refused("--proxy-http3", PROXY_HTTP),
    refused("--proxy-insecure", PROXY_TLS),
    refused("--proxy-key <v>", PROXY_TLS),
    refused("--proxy-key-type <v>", PROXY_TLS),
    refused("--proxy-negotiate", PROXY_AUTH),
    refused("--proxy-ntlm", PROXY_AUTH),
    refused("--proxy-pass <v>", PROXY_TLS),
    refused("--proxy-pinnedpubkey <v>", PROXY_TLS),
    refused("--proxy-service-name <v>", PROXY_AUTH),
    refused("--proxy-ssl-allow-beast", PROXY_TLS),
    refused("--proxy-ssl-auto-client-cert", PROXY_TLS),
    refused("--proxy-tls13-ciphers <v>", PROXY_TLS),
    refused("--proxy-tlsauthtype <v>", PROXY_TLS),
    refused("--proxy-tlspassword <v>", PROXY_TLS),
    refused("--proxy-tlsuser <v>", PROXY_TLS),
    refused("--proxy-tlsv1", PROXY_TLS),
    same("-U, --proxy-user <v>", ""),
    refused("--proxy1.0 <v>", PROXY_HTTP),
    refused("-p, --proxytunnel", "https is tunneled; for http, use -x socks5h://HOST:PORT"),
    refused("--pubkey <v>", HTTP_ONLY),
    refused("-Q, --quote <v>", HTTP_ONLY),
    refused("--random-file <v>", SYSTEM),
    refused("-r, --range <v>", RESUME),
    refused("--rate <v>", "use --retry-delay"),
    refused("--raw", "use --format raw"),
    same("-e, --referer <v>", "without `;auto`"),
    refused("-J, --remote-header-name", FILE_NAME),
    refused("-O, --remote-name", FILE_NAME),
    refused("--remote-name-all", FILE_NAME),
    refused("-R, --remote-time", TRACE),
    refused("--remove-on-error", NOTHING),
    same("-X, --request <v>", ""),
    refused("--request-target <v>", "put the path in the URL"),
    same("--resolve <v>", "applies to every port of the host; no +, - or *"),
    same("--retry <v>", "counts failures in a row; 0 means no reconnects"),
    same("--retry-all-errors", "every status from 400 on"),
    ignored("--retry-connrefused", "the default"),
    same("--retry-delay <v>", "jitter shortens it; 0 means the default, which grows"),
    same("--retry-max-time <v>", "limits one outage; 0 means no limit"),
    refused("--sasl-authzid <v>", HTTP_ONLY),
    refused("--sasl-ir", HTTP_ONLY),
    refused("--service-name <v>", AUTH),
    ignored("-S, --show-error", "the default"),
    refused("--sigalgs <v>", TLS),
    same("--show-headers", "a newer name of --include"),
    same("-s, --silent", "errors are still shown"),
    refused("--skip-existing", NO_CLOBBER),
    same("--socks4 <v>", ""),
    same("--socks4a <v>", ""),
    same("--socks5 <v>", ""),
    ignored("--socks5-basic", "the default"),
    refused("--socks5-gssapi", PROXY_AUTH),
    refused("--socks5-gssapi-nec", PROXY_AUTH),
    refused("--socks5-gssapi-service <v>", PROXY_AUTH),
    same("--socks5-hostname <v>", ""),
    refused("-Y, --speed-limit <v>", IDLE),
    refused("-y, --speed-time <v>", IDLE),
    refused("--ssl", HTTPS),
    refused("--ssl-allow-beast", TLS),
    refused("--ssl-auto-client-cert", CERT),
    ignored("--ssl-no-revoke", "revocation isn't checked"),
    refused("--ssl-reqd", HTTPS),
    ignored("--ssl-revoke-best-effort", "revocation isn't checked"),
    refused("--ssl-sessions <v>", NOTHING),
    refused("-2, --sslv2", TLS),
    refused("-3, --sslv3", TLS),
    refused("--stderr <v>", SHELL),
    ignored("--styled-output", "the default"),
    ignored("--suppress-connect-headers", "the default"),
    refused("--tcp-fastopen", NOTHING),
    ignored("--tcp-nodelay", "the default"),
    refused("-t, --telnet-option <v>", HTTP_ONLY),
    refused("--tftp-blksize <v>", HTTP_ONLY),
    refused("--tftp-no-options", HTTP_ONLY),
    refused("-z, --time-cond <v>", RESUME),
    refused("--tls-earlydata", TLS),
    refused("--tls-max <v>", TLS),
    refused("--tls13-ciphers <v>", TLS),
    refused("--tlsauthtype <v>", CERT),
    refused("--tlspassword <v>", CERT),
    refused("--tlsuser <v>", CERT),
    ignored("-1, --tlsv1", "TLS 1.2 or newer is used"),
    ignored("--tlsv1.0", "TLS 1.2 or newer is used"),
    ignored("--tlsv1.1", "TLS 1.2 or newer is used"),
    ignored("--tlsv1.2", "TLS 1.2 or newer is used"),
    refused("--tlsv1.3", TLS),
    refused("--tr-encoding", NOTHING),
    refused("--trace <v>", TRACE),
    refused("--trace-ascii <v>", TRACE),
    refused("--trace-config <v>", TRACE),
    refused("--trace-ids", TRACE),
    refused("--trace-time", TRACE),
    same("--unix-socket <v>", ""),
    refused("--upload-flags <v>", HTTP_ONLY),
    refused("-T, --upload-file <v>", BODY),
    same("--url <v>", ""),
    same("--url-query <v>", ""),
    refused("-B, --use-ascii", HTTP_ONLY),
    same("-u, --user <v>", "the password is from EVERSTREAM_PASSWORD, or asked for"),
    same("-A, --user-agent <v>", ""),
    refused("--variable <v>", SHELL),
    same("-v, --verbose", "shows the response only"),
    same("-V, --version", ""),
    refused("--vlan-priority <v>", SYSTEM),
    refused("-w, --write-out <v>", TRACE),
    refused("--xattr", RECORD),
];
