//! Requests over plain HTTP/1.1, each over a connection of its own: behind a Service a connection is what is given to one
//! pod or another, so only new ones reach pods that just came.

use anyhow::{Context, Result, ensure};
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers of this program are a line or two. What is longer was not meant for it.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Where to send requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    address: String,
    path: String,
}

impl std::str::FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        ensure!(
            uri.scheme_str() == Some("http"),
            "{url} must begin with http://"
        );
        let host = uri.host().with_context(|| format!("{url} names no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            address: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
            path: path.to_owned(),
        })
    }
}

impl Target {
    /// The same server, another path.
    pub fn at(&self, path: &str) -> Self {
        Self {
            address: self.address.clone(),
            path: path.to_owned(),
        }
    }

    /// Sends a request without a body; the answer's status.
    pub async fn send(&self, method: &str) -> Result<u16> {
        let address = &self.address;
        let mut stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("{address} does not answer"))?;
        let request = format!(
            "{method} {} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.path
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        status(&answer).with_context(|| format!("{address} does not speak HTTP"))
    }
}

/// The status in an answer such as `HTTP/1.1 204 No Content`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, address, path) in [
            ("http://a", "a:80", "/"),
            ("http://a.b:8080/infer?mib=3", "a.b:8080", "/infer?mib=3"),
            ("http://[::1]:1/x", "[::1]:1", "/x"),
        ] {
            let target: Option<Target> = url.parse().ok();
            let (address, path) = (address.to_owned(), path.to_owned());
            assert_eq!(target, Some(Target { address, path }), "{url}");
        }
        for url in ["a/b", "https://a/", "http://", ""] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }

    #[test]
    fn statuses() {
        for (answer, expected) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(204)),
            ("HTTP/1.0 500\r\n", Some(500)),
            ("SSH-2.0-x\r\n", None),
            ("HTTP/1.1 abc\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(answer.as_bytes()), expected, "{answer}");
        }
    }
}
