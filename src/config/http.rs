//! `[http]`: where the daemon listens and how long it waits for whom. Consumed by the HTTP server and the
//! routes.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use url::Url;

use super::host_names::{HostName, host_names};
use super::network::{Network, networks};
use super::rule::{address, bytes, cores_or, optional_web_url, seconds, whole};
use super::section::section;
use super::value::ByteSize;

section! {
    /// The HTTP server.
    HttpSettings = "http" {
        /// The address and port to listen on. On a loopback address only programs on this machine reach the
        /// daemon, and anonymous callers are let in (see auth.anonymous); port 0 takes any free port.
        "bind" => bind: SocketAddr = "127.0.0.1:5000", address();

        /// Threads that serve requests. Handlers wait for the database rather than compute, so more threads
        /// than cores bring nothing.
        "workers" => workers: NonZeroUsize = 0, cores_or(1024);

        /// The address under which callers reach the daemon, for the links in answers, when it stands behind
        /// a proxy. When empty, links are built from the Host header of each request.
        "public_url" => public_url: Option<Url> = "", optional_web_url();

        /// Names by which callers reach the daemon, besides addresses, `localhost` and the host of http.public_url. Where
        /// http.bind is a loopback address and callers are let in without proof, or when names are listed here, a
        /// request whose Host is none of these is refused: a page of another site whose name leads to this machine is
        /// not taken for one of ours. A proxy that passes on the Host of its callers needs their names here.
        "hosts" => hosts: Vec<HostName> = "", host_names();

        /// Networks of proxies that are believed when they say, in `X-Forwarded-For` and `X-Forwarded-Proto`, whom they
        /// speak for and how they were reached. Limits are for each address, so without this all who come through a
        /// proxy count as one.
        "trusted_proxies" => trusted_proxies: Vec<Network> = "", networks();

        /// The largest JSON body, in bytes. A batch of 10,000 tasks must fit. Large ones lie on the disk while they
        /// come, and share a bound of memory.
        "max_json_bytes" => max_json_bytes: ByteSize = "16 MiB", bytes(64 << 10..=1 << 30);

        /// How long a client may take to send its request line and headers, and how long the body may stand
        /// still, in seconds. Too high, and slow clients hold connections; too low, and poor lines are cut
        /// off.
        "request_timeout_s" => request_timeout: Duration = 30, seconds(1.0..=600.0);

        /// The longest that a caller may wait for a result (`Prefer: wait=N`), in seconds; a longer wish is
        /// cut to this. Keep it below the time-out of any proxy in front.
        "max_wait_s" => max_wait: Duration = 60, seconds(0.0..=600.0);

        /// How long routes that wait by default wait for a result when the caller does not say, in seconds.
        "default_wait_s" => default_wait: Duration = 30, seconds(0.0..=600.0);

        /// The most claims of outside workers (`POST /tasks/claim` with `wait_s`) that may wait for a task at the
        /// same time; more are answered 503. Each holds a connection and a little memory, and no thread.
        "max_waiting" => max_waiting: usize = 10_000, whole(1..=1_000_000);

        check fits;
    }
}

fn fits(http: &HttpSettings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if http.default_wait > http.max_wait {
        let reason = format!(
            "is {} s, more than http.max_wait_s ({} s)",
            http.default_wait.as_secs_f64(),
            http.max_wait.as_secs_f64()
        );
        problems.push(("default_wait_s", reason));
    }
    problems
}
