//! Raw hyper on one thread: reads the request, answers a constant of the right size.

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use crate::args::Args;
use crate::plan::Kind;

/// The bodies by scenario, as `--token 57 --login 90 …` in bytes.
struct Bodies(Vec<(Kind, Bytes)>);

/// `[--listen 127.0.0.1:0] --token BYTES --login BYTES …`
pub fn run(args: &Args) -> Result<(), String> {
    let size = |kind: Kind| {
        args.or(kind.name(), 200)
            .map(|bytes| (kind, constant(bytes)))
    };
    let bodies = Kind::ALL
        .into_iter()
        .map(size)
        .collect::<Result<Vec<_>, _>>()?;
    let bodies = Rc::new(Bodies(bodies));
    let listen = args.text("listen").unwrap_or("127.0.0.1:0").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    LocalSet::new()
        .block_on(&runtime, serve(&listen, bodies))
        .map_err(|e| e.to_string())
}

async fn serve(listen: &str, bodies: Rc<Bodies>) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bodies = Rc::clone(&bodies);
        spawn_local(async move {
            let service = service_fn(move |request| answer(Rc::clone(&bodies), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A load generator that hangs up is no error of the floor.
            let _ = served.await;
        });
    }
}

async fn answer(
    bodies: Rc<Bodies>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let kind = Kind::of(request.method().as_str(), request.uri().path());
    let _ = request.into_body().collect().await;
    let body = bodies.0.iter().find(|(known, _)| *known == kind);
    let mut response = Response::new(Full::new(
        body.map(|(_, body)| body.clone()).unwrap_or_default(),
    ));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    let id = HeaderValue::from_static("0123456789abcdef0123456789abcdef");
    response.headers_mut().insert("x-request-id", id);
    Ok(response)
}

fn constant(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}
