//! The inspector: pages on this machine's loopback interface that show the deliveries, states and registration of a local run
//! or a stack.

mod actions;
mod assets;
mod banner;
mod body;
mod chart;
mod client;
mod deliveries;
mod delivery;
mod entity;
mod filter;
mod forwarding;
mod frame;
mod guard;
mod layout;
mod ledger_bar;
mod line_facts;
mod line_proof;
mod lines;
mod live;
mod problem;
mod registration;
mod registration_facts;
mod row;
mod search;
mod source;
mod states;
mod stream;
mod timeline;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path},
    middleware,
    response::Redirect,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};

use self::{guard::Guard, live::Live, source::Shown};
pub use self::{
    guard::{ForwardedAddress, PageToken},
    line_facts::{Line, LineKey, LineList, LineReader, Onboarding, is_line},
    registration_facts::{host, receiver, registration_facts},
    source::{Action, Actions, Source},
};

/// Maximum size of a form, in bytes.
const FORM: usize = 4 * 1024;

/// A running inspector. Dropping it ends it.
pub struct Inspector {
    url: String,
    port: u16,
    server: JoinHandle<std::io::Result<()>>,
}

impl Inspector {
    /// Serves the pages on a port of 127.0.0.1, or on a free one when that is taken. Their address contains the token. `forwarded` returns
    /// the address under which the port is forwarded, if there is one: the pages answer under it too.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(
        source: Source,
        port: u16,
        token: PageToken,
        forwarded: impl FnOnce(u16) -> Option<ForwardedAddress>,
    ) -> Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?,
        };
        let address = listener.local_addr()?;
        let guard = Guard::new(token, address.port(), forwarded(address.port()));
        let url = guard.url();
        let server = axum::serve(listener, router(source, guard));
        Ok(Self { url, port: address.port(), server: tokio::spawn(server.into_future()) })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the start page. It contains the token, without which nothing is shown.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(source: Source, guard: Guard) -> Router {
    let has_actions = source.actions.is_some();
    let live = Arc::new(Live::new(source.reader.clone(), source.stack.is_none()));
    let shown = Arc::new(Shown { source, live, notice: Mutex::new(None) });
    let pages = Router::new()
        .route("/{token}", get(async |Path(token): Path<String>| Redirect::permanent(&format!("{token}/"))))
        .route("/{token}/", get(deliveries::page))
        .route("/{token}/live", get(stream::stream))
        .route("/{token}/banner", get(banner::fragment))
        .route("/{token}/delivery", get(delivery::page))
        .route("/{token}/entity", get(entity::page))
        .route("/{token}/lines", get(lines::page))
        .route("/{token}/client", get(client::page))
        .route("/{token}/states", get(states::page))
        .route("/{token}/forwarding", get(forwarding::page))
        .route("/{token}/registration", get(registration::page))
        .route("/{token}/inspector.css", get(assets::style))
        .route("/{token}/inspector.js", get(assets::script))
        .route("/{token}/icon.svg", get(assets::icon));
    // A stack is read-only.
    let pages = if has_actions {
        pages
            .route("/{token}/send", post(actions::send))
            .route("/{token}/sync", post(actions::sync))
            .route("/{token}/raw", post(actions::raw))
            .route("/{token}/retry", post(actions::retry))
    } else {
        pages
    };
    pages
        .fallback(async || problem::Problem::NotFound("This page does not exist.".to_owned()))
        .with_state(shown)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::check))
}
