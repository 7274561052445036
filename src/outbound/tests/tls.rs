//! Calls through TLS: who is trusted, and what happens when nobody is there to be trusted.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::super::connect::Connector;
use super::*;

/// A server with a certificate for `hooks.test` and 127.0.0.1, and the roots of those who trust it.
async fn safe_server() -> (u16, RootCertStore) {
    let names = ["hooks.test".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            hear(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsafe").await;
            let _ = stream.shutdown().await;
        }
    });
    (port, roots)
}

/// A call by a client that trusts these roots.
async fn call(url: &str, roots: RootCertStore, connect: Duration) -> Result<Response, OutboundError> {
    let policy = Policy::public().with_private();
    let connector = Connector::trusting(connect, roots);
    let client = Client::over(connector, policy, limits(), Script::new(&[&["127.0.0.1"]]));
    client.send(Request::get(target(url))).await
}

#[tokio::test]
async fn a_certificate_counts_for_its_names_and_for_those_who_trust_it() {
    let (port, roots) = safe_server().await;
    for host in ["hooks.test", "127.0.0.1"] {
        let response = call(&format!("https://{host}:{port}/"), roots.clone(), PATIENCE).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"safe"[..]), "{host}");
    }

    let (_, strangers) = safe_server().await;
    for (host, roots, reason) in [
        ("other.test", roots, "not valid for name"),
        ("hooks.test", strangers, "invalid peer certificate"),
        ("hooks.test", RootCertStore::empty(), "invalid peer certificate"),
    ] {
        let error =
            call(&format!("https://{host}:{port}/path?token=hush"), roots, PATIENCE).await.unwrap_err();
        let OutboundError::Tls { .. } = error else { panic!("{host}: {error:?}") };
        let told = error.to_string();
        assert!(told.starts_with(&format!("no safe connection to https://{host}:{port}: ")), "{told}");
        assert!(told.contains(reason) && !told.contains("hush"), "{told}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_speaks_no_tls() {
    let mut server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = server.url("hooks.test").replace("http:", "https:");
    let error = call(&url, RootCertStore::empty(), Duration::from_millis(300)).await.unwrap_err();
    let safe =
        matches!(error, OutboundError::Tls { .. } | OutboundError::Timeout { phase: Phase::Connecting, .. });
    assert!(safe, "{error:?}");
    let heard = server.heard.recv().await.unwrap();
    assert!(!heard.contains("hush") && !heard.contains("GET"), "{heard}");
}

#[tokio::test]
async fn a_server_that_keeps_silent_is_given_up_while_connecting() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("https://hooks.test:{}/", listener.local_addr().unwrap().port());
    let error = call(&url, RootCertStore::empty(), Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Timeout { phase: Phase::Connecting, .. }), "{error:?}");
}

#[tokio::test]
async fn a_client_of_this_machine_does_not_trust_a_stranger() {
    let (port, _) = safe_server().await;
    let client = client(Script::new(&[&["127.0.0.1"]]));
    let error = client.send(Request::get(target(&format!("https://hooks.test:{port}/")))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Tls { .. }), "{error:?}");
}
