//! The inspector: pages on this machine's loopback interface that show what a target has stored.

mod actions;
mod assets;
mod body;
mod chart;
mod deliveries;
mod delivery;
mod entity;
mod filter;
mod guard;
mod layout;
mod ledger_bar;
mod live;
mod problem;
mod registration;
mod row;
mod states;
mod timeline;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path},
    middleware,
    response::Redirect,
    routing::{get, post},
};
use shared::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};

use self::{actions::Notice, guard::Guard, live::Live};
use crate::target::Target;

/// How many deliveries, states or entries of a history a page has.
const PAGE: u16 = 50;

/// The most bytes of a form.
const FORM: usize = 4 * 1024;

/// A running inspector; it ends when this is dropped.
pub struct Inspector {
    url: String,
    server: JoinHandle<std::io::Result<()>>,
}

/// What the pages are made from.
struct Shown {
    target: Target,
    live: Arc<Live>,
    /// What the last action came to, until a page has shown it.
    notice: Mutex<Option<Notice>>,
}

type App = axum::extract::State<Arc<Shown>>;

impl Inspector {
    /// Serves the pages on a port of 127.0.0.1, or on a free one if that is taken.
    ///
    /// # Errors
    /// When no port is free, or the system has no random bytes for the token.
    pub async fn start(target: Target, port: u16) -> Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?,
        };
        let address = listener.local_addr()?;
        if ![0, address.port()].contains(&port) {
            eprintln!("Port {port} is taken: the page is on {}", address.port());
        }
        let guard = Guard::new(address.port())?;
        let url = guard.url();
        let server = axum::serve(listener, router(target, guard));
        Ok(Self { url, server: tokio::spawn(server.into_future()) })
    }

    /// Where it is: with the token, without which nothing is shown.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(target: Target, guard: Guard) -> Router {
    let is_local = target.webhook.is_some();
    let live = Arc::new(Live::new(target.reader.clone(), is_local));
    let shown = Arc::new(Shown { target, live, notice: Mutex::new(None) });
    let pages = Router::new()
        .route("/{token}", get(async |Path(token): Path<String>| Redirect::permanent(&format!("{token}/"))))
        .route("/{token}/", get(deliveries::page))
        .route("/{token}/live", get(live::stream))
        .route("/{token}/delivery", get(delivery::page))
        .route("/{token}/entity", get(entity::page))
        .route("/{token}/states", get(states::page))
        .route("/{token}/registration", get(registration::page))
        .route("/{token}/inspector.css", get(assets::style))
        .route("/{token}/inspector.js", get(assets::script))
        .route("/{token}/icon.svg", get(assets::icon));
    // A stack is only looked at.
    let pages = if is_local {
        pages.route("/{token}/send", post(actions::send)).route("/{token}/sync", post(actions::sync))
    } else {
        pages
    };
    pages
        .fallback(async || problem::Problem::NotFound("There is no such page.".to_owned()))
        .with_state(shown)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::check))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
