//! `vedette witness`: cosigns the checkpoints of other monitors ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).

use std::{
    fs,
    io::{self, Write},
    sync::Arc,
};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use vedette_ledger::{
    note::VerifierKey,
    witness::{MAX_REQUEST_BYTES, Witness},
};

use crate::{Outcome, Usage, cli::WitnessArgs, node::maintenance::now};

/// Runs the command until SIGTERM or SIGINT.
pub fn run(args: WitnessArgs) -> anyhow::Result<Outcome> {
    let logs = args.logs.iter().map(|log| read_key(log)).collect::<anyhow::Result<Vec<_>>>()?;
    let witness = Witness::open(&args.data, &args.name, logs).context("cannot open the witness's folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args, Arc::new(witness)))?;
    Ok(Outcome::Fine)
}

/// A log's key: itself, or a file with it.
fn read_key(text: &str) -> anyhow::Result<VerifierKey> {
    let text = match fs::read_to_string(text) {
        Ok(text) => text,
        Err(_) => text.to_owned(),
    };
    text.trim().parse().map_err(|error| {
        Usage(format!("--log: {error}\nhint: a monitor's key is in its data folder, in `ledger/log.vkey`")).into()
    })
}

async fn serve(args: WitnessArgs, witness: Arc<Witness>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut out = io::stdout();
    writeln!(out, "key {}", witness.key())?;
    writeln!(out, "listening witness {}", listener.local_addr()?)?;
    writeln!(out, "ready")?;
    out.flush()?;
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(witness);
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await.context("the listener failed")
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, request: Bytes) -> Response {
    let seconds = u64::try_from(now().micros() / 1_000_000).unwrap_or(0);
    let answered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&request, seconds)).await;
    match answered {
        Ok(Ok(answer)) => {
            tracing::debug!(status = answer.status(), "answered");
            let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, answer.content_type())], answer.body()).into_response()
        }
        Ok(Err(error)) => {
            tracing::error!("nothing was cosigned: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot keep its state\n").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
