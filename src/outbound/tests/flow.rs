//! Calls that carry files and listen to streams: what goes out piece by piece, what is read as it comes, and when they end.

use futures_util::stream;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

/// A server that does with its one connection what it is told to; its address as a target.
async fn once<F: Future<Output = ()> + Send>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Target {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://127.0.0.1:{}/path", listener.local_addr().unwrap().port());
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    target(&url)
}

async fn open(target: Target, source: Source, idle: Duration) -> Result<Flow, OutboundError> {
    client(Arc::new(SystemResolver::default())).open(Request::post(target, ""), source, idle).await
}

fn pieces(pieces: &[&'static [u8]], length: u64) -> Source {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
    Source::new(stream::iter(pieces), length)
}

#[tokio::test]
async fn a_body_of_pieces_arrives_with_its_length_and_the_answer_comes_in_pieces() {
    let (tell, heard) = tokio::sync::oneshot::channel();
    let (next, mut wait) = mpsc::channel::<()>(1);
    let target = once(async move |mut stream| {
        let _ = tell.send(hear(&mut stream).await);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\none").await.unwrap();
        wait.recv().await.unwrap();
        stream.write_all(b"two").await.unwrap();
    })
    .await;
    let mut flow = open(target, pieces(&[b"he", b"llo"], 5), PATIENCE).await.unwrap();
    let heard = heard.await.unwrap();
    assert!(heard.contains("content-length: 5\r\n") && heard.ends_with("\r\n\r\nhello"), "{heard}");
    assert!(flow.is_success());
    assert_eq!(flow.piece().await.unwrap().unwrap(), "one", "before the rest is written");
    next.send(()).await.unwrap();
    assert_eq!(flow.rest(2).await.unwrap(), (Bytes::from_static(b"tw"), true));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_heard() {
    let target = once(async |mut stream| {
        let mut some = [0; 100];
        stream.read_exact(&mut some).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 No\r\ncontent-length: 3\r\n\r\nbig").await.unwrap();
        // Held open: what ended it was the answer.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let endless = stream::unfold((), async |()| Some((Ok(Bytes::from_static(&[0; 4096])), ())));
    let mut flow = open(target, Source::new(endless, u64::MAX), PATIENCE).await.unwrap();
    assert_eq!((flow.status, flow.rest(100).await.unwrap().0), (413, Bytes::from_static(b"big")));
}

#[tokio::test]
async fn a_call_in_which_nothing_moves_ends_and_one_that_crawls_goes_on() {
    let idle = Duration::from_millis(300);
    let silent = once(async |mut stream| drop(stream.read_to_end(&mut Vec::new()).await)).await;
    let error = open(silent, Source::of(Bytes::new()), idle).await.unwrap_err();
    assert!(matches!(error, OutboundError::Timeout { phase: Phase::Answering, .. }), "{error}");

    let (tell, wait) = tokio::sync::oneshot::channel::<()>();
    let stuck = once(async |mut stream| {
        hear(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\none").await.unwrap();
        let _ = wait.await;
    })
    .await;
    let mut flow = open(stuck, Source::of(Bytes::new()), idle).await.unwrap();
    assert_eq!(flow.piece().await.unwrap().unwrap(), "one");
    let error = flow.piece().await.unwrap_err();
    assert!(matches!(error, OutboundError::Timeout { .. }), "{error}");
    drop(tell);

    // Longer altogether than nothing may move, each piece well within.
    let crawling = stream::unfold(0_u32, async |sent| {
        tokio::time::sleep(Duration::from_millis(60)).await;
        Some((Ok(Bytes::from_static(b"x")), sent + 1))
    });
    let target = once(async |mut stream| {
        hear(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    assert!(open(target, Source::new(crawling, 10), idle).await.unwrap().is_success());
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_was_said_breaks_the_call_off_or_is_cut() {
    let target = once(async |mut stream| drop(stream.read_to_end(&mut Vec::new()).await)).await;
    let error = open(target, pieces(&[b"hell"], 5), PATIENCE).await.unwrap_err();
    assert!(matches!(error, OutboundError::Protocol { .. }), "{error}");

    let (tell, heard) = tokio::sync::oneshot::channel();
    let target = once(async move |mut stream| {
        let request = hear(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = tell.send(request);
    })
    .await;
    open(target, pieces(&[b"hello, GET /"], 5), PATIENCE).await.unwrap();
    let heard = heard.await.unwrap();
    assert!(heard.ends_with("\r\n\r\nhello"), "{heard}");
}

#[tokio::test]
async fn the_connection_is_closed_when_the_answer_is_dropped() {
    let (tell, gone) = tokio::sync::oneshot::channel();
    let target = once(async move |mut stream| {
        hear(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\none").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        let _ = tell.send(());
    })
    .await;
    let mut flow = open(target, Source::of(Bytes::new()), PATIENCE).await.unwrap();
    assert_eq!(flow.piece().await.unwrap().unwrap(), "one");
    drop(flow);
    gone.await.unwrap();
}
