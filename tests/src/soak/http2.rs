//! A site's connection of HTTP/2.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::chaos::{Kind, answer};
use super::conduct::Conduct;

/// What is done to the connection because of one of its requests.
#[derive(Default)]
struct Mood {
    /// It takes no further requests.
    leaves: Notify,
    /// It ends when the next request comes.
    ends_at_next: AtomicBool,
}

/// Serves requests until the connection ends.
pub(super) async fn converse<S>(conduct: &Conduct, line: S, over: &'static str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let streams = conduct.chaos.streams(conduct.nth, conduct.connection);
    let opened = Builder::new().max_concurrent_streams(streams).handshake(line).await;
    let mut connection = opened.map_err(io::Error::other)?;
    let mood = Arc::new(Mood::default());
    for position in 0.. {
        let next = select! {
            next = connection.accept() => next,
            () = mood.leaves.notified() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = next else { break };
        if mood.ends_at_next.load(Ordering::Relaxed) {
            conduct.close();
            break;
        }
        let (conduct, mood) = (conduct.clone(), Arc::clone(&mood));
        tokio::spawn(async move {
            // What fails here fails because the client went away, or the site did.
            let _ = serve(&conduct, &mood, over, position, request, respond).await;
        });
    }
    Ok(())
}

async fn serve(
    conduct: &Conduct,
    mood: &Mood,
    over: &'static str,
    position: usize,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let Conduct { nth, chaos, .. } = conduct;
    let (head, mut body) = request.into_parts();
    let Some(id) = head.headers.get("x-id").and_then(|id| id.to_str().ok()?.parse().ok()) else {
        chaos.ledger.breaks(format!("a request without an id came: {head:?}"));
        return Ok(());
    };
    let kind = chaos.kind_of_stream(*nth, id, position, head.headers.contains_key("x-fine"));
    chaos.ledger.injects(kind);
    let plan = chaos.plan(kind, *nth, id);
    let execute = |body: &[u8]| conduct.execute(id, head.method.as_str(), body, over);
    if kind == Kind::Refused {
        respond.send_reset(Reason::REFUSED_STREAM);
        return Ok(());
    }
    if kind != Kind::Early {
        let body = read(&mut body).await?;
        if kind.executes() {
            execute(&body);
        }
    }
    match kind {
        Kind::Reset => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        Kind::Fin => {
            conduct.close();
            return Ok(());
        }
        Kind::Stall => return poll_fn(|cx| respond.poll_reset(cx)).await.map(drop),
        Kind::Slow => sleep(plan.some_time).await,
        _ => {}
    }
    let answer = Bytes::from(answer(id));
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(plan.status).expect("the status is one");
    response.headers_mut().insert("x-id", HeaderValue::from(id));
    response.headers_mut().insert("x-peek", HeaderValue::from(plan.peek));
    response.headers_mut().insert("x-verdict", HeaderValue::from_static(kind.verdict()));
    if !plan.is_chunked {
        response.headers_mut().insert("content-length", HeaderValue::from(answer.len()));
    }
    let mut stream = respond.send_response(response, false)?;
    let first = match kind {
        Kind::Cut | Kind::CutByReset | Kind::BodyStall => plan.cut,
        _ => answer.len() / 2,
    };
    send(&mut stream, answer.slice(..first)).await?;
    match kind {
        Kind::Cut => {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        Kind::CutByReset => {
            stream.send_reset(Reason::NO_ERROR);
            return Ok(());
        }
        Kind::BodyStall => return poll_fn(|cx| stream.poll_reset(cx)).await.map(drop),
        Kind::SlowBody => sleep(plan.some_time).await,
        _ => {}
    }
    send(&mut stream, answer.slice(first..)).await?;
    stream.send_data(Bytes::new(), true)?;
    match kind {
        Kind::Early => execute(&read(&mut body).await?),
        Kind::Close => mood.leaves.notify_one(),
        Kind::IdleClose | Kind::IdleCloseSoon => {
            sleep(chaos.moment(id)).await;
            conduct.close();
        }
        Kind::FinAtNext => mood.ends_at_next.store(true, Ordering::Relaxed),
        Kind::ResetAtNext => {
            mood.ends_at_next.store(true, Ordering::Relaxed);
            // Fails if the peer was first, which is as good.
            let _ = conduct.reset();
        }
        _ => {}
    }
    Ok(())
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let Some(room) = poll_fn(|cx| stream.poll_capacity(cx)).await else { break };
        let piece = bytes.split_to(room?.min(bytes.len()));
        stream.send_data(piece, false)?;
    }
    Ok(())
}
